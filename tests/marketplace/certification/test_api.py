"""Independent validators submit what they have measured on the public cells; published private texts can be read."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.models import Permission, User
from django.test import Client

from latentmas import blobs
from latentmas.events import store
from latentmas.events.models import Event
from latentmas.rest.scopes import KV_CACHE_COMPUTE, W_MATRICES_CERTIFY
from marketplace.agents.commands import Profile, register_agent, register_key, revoke_key
from marketplace.agents.keys import signature_of
from marketplace.agents.models import Agent
from marketplace.certification.commands import open_rotation, publish_rotation
from marketplace.certification.inputs import submission_from
from marketplace.certification.signing import require_signed, sign, submission_digest
from marketplace.listings.commands import measure_version
from marketplace.listings.events.certification import VersionRecertified
from marketplace.listings.events.listing import StoredFile
from tests.marketplace import sample
from tests.marketplace.sample import cell, suite, with_suite

pytestmark = pytest.mark.django_db
FIGURES = with_suite(suite(cell("news", 256, 0.86), cell("code", 256, 0.75), cell("news", 1024, None)))


@pytest.fixture
def agent(alice: User) -> Agent:
    alice.user_permissions.add(Permission.objects.get(codename="certify"))
    return register_agent(alice, Profile("checkers", "The checkers", ""), metadata=sample.METADATA)


@pytest.fixture
def key(agent: Agent) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    public_key = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    register_key(agent.id, public_key=public_key, metadata=sample.METADATA)
    return key


@pytest.fixture
def validator(agent: Agent, client_with) -> Client:
    return client_with(W_MATRICES_CERTIFY)


@pytest.fixture
def listed(registry) -> str:
    return sample.make_listing(quality=FIGURES)


def submission(**changes) -> dict:
    measured = sample.measured(sample.published(quality=FIGURES), FIGURES)
    body = {
        "file": measured.file,
        "suite": FIGURES.suite.digest,
        "instrument": {"code": "arms/test", "seed": 7, "numerics": "cuda/bfloat16"},
        "cells": [figure("news", 256, 0.865), figure("code", 256, 0.74)],
    }
    return body | changes


def event_of(agent: Agent, **changes) -> VersionRecertified:
    return submission_from(submission(**changes), version="1.0.0", validator=agent.id)


def signed(agent: Agent, key: Ed25519PrivateKey, **changes) -> str:
    return sign(event_of(agent, **changes), key)


def of_an_upload(agent: Agent, key: Ed25519PrivateKey) -> str:
    return signature_of(key, agent.id, submission_digest(event_of(agent)))


def revoked(agent: Agent, key: Ed25519PrivateKey) -> str:
    signature = signed(agent, key)
    revoke_key(agent.id, key_id=signature.partition(":")[0], metadata=sample.METADATA)
    return signature


def figure(register: str, length: int, value: float) -> dict:
    return {"register": register, "length": length, "retention": {"value": value, "low": value, "high": value}}


def send(client: Client, listing_id: str, body: dict, **headers: str):
    address = f"/api/w-matrices/{listing_id}/versions/1.0.0/recertify"
    return client.post(address, json.dumps(body), content_type="application/json", headers=headers)


def validated_by(client: Client, listing_id: str) -> list[str]:
    return client.get(f"/api/w-matrices/{listing_id}/versions/1.0.0").json()["validated_by"]


def test_whoever_finds_the_same_is_a_validator_of_the_version(client, validator, agent, listed):
    answer = send(validator, listed, submission())
    assert answer.status_code == 201, answer.json()
    assert answer.json() == {"listing_id": listed, "version": "1.0.0", "validator": agent.id, "agrees": True}
    assert validated_by(client, listed) == [agent.id]
    assert agent.id in client.get(f"/w-matrices/{listed}").content.decode()


def test_a_signature_by_the_agents_key_is_kept_and_can_be_checked_again(validator, agent, key, listed):
    signature = signed(agent, key)
    assert send(validator, listed, submission(signature=signature)).status_code == 201
    recorded = store.read_stream(f"listing/{listed}")[-1].data
    assert (type(recorded), recorded.signature) == (VersionRecertified, signature)
    require_signed(recorded)


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        (lambda agent, key: "0123456789abcdef:AAAA", "RECERTIFICATION_SIGNATURE_INVALID"),
        (lambda agent, key: signed(agent, Ed25519PrivateKey.generate()), "RECERTIFICATION_SIGNATURE_INVALID"),
        (lambda agent, key: signed(agent, key, file="sha256:" + "8" * 64), "RECERTIFICATION_SIGNATURE_INVALID"),
        (lambda agent, key: of_an_upload(agent, key), "RECERTIFICATION_SIGNATURE_INVALID"),
        (lambda agent, key: revoked(agent, key), "KEY_REVOKED"),
    ],
    ids=["malformed", "of no key of the agent", "of something else", "for an upload", "of a revoked key"],
)
def test_a_signature_that_does_not_hold_is_refused(validator, agent, key, listed, signature, code):
    answer = send(validator, listed, submission(signature=signature(agent, key)))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, "signature")
    assert not Event.objects.filter(type="listing.version_recertified").exists()


def test_whoever_finds_something_else_is_on_record_and_no_validator(client, validator, listed):
    answer = send(validator, listed, submission(cells=[figure("news", 256, 0.5), figure("code", 256, 0.75)]))
    assert (answer.status_code, answer.json()["agrees"]) == (201, False)
    assert validated_by(client, listed) == []
    assert send(validator, listed, submission()).json()["agrees"]
    assert len(validated_by(client, listed)) == 1


def test_the_same_figures_again_record_nothing(validator, listed):
    for key in ("first", "second"):
        assert send(validator, listed, submission(), **{"Idempotency-Key": key}).status_code == 201
    assert Event.objects.filter(type="listing.version_recertified").count() == 1


def test_a_new_measurement_has_no_validators_yet(client, validator, listed):
    send(validator, listed, submission())
    better = replace(FIGURES, test_samples=2400)
    measure_version(listed, measured=sample.measured(sample.published(quality=FIGURES), better))
    assert validated_by(client, listed) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"file": "sha256:" + "9" * 64}, "file"),
        ({"suite": "sha256:" + "9" * 64}, "suite"),
        ({"suite": "md5:1"}, "suite"),
        ({"cells": [figure("news", 256, 0.86)]}, "cells"),
        ({"cells": [figure("news", 256, 0.86)] * 2}, "cells"),
        ({"cells": [*submission()["cells"], figure("news", 1024, 0.8)]}, "cells"),
        ({"instrument": {"code": "arms/test"}}, "instrument"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_figures_of_something_else_are_refused(validator, listed, changes, field):
    answer = send(validator, listed, submission(**changes))
    assert answer.status_code == 422
    assert answer.json()["field"].startswith(field)
    assert not Event.objects.filter(type="listing.version_recertified").exists()


def test_figures_that_are_no_numbers_are_refused(validator, listed):
    body = json.dumps(submission(cells=[figure("news", 256, float("nan")), figure("code", 256, 0.75)]))
    address = f"/api/w-matrices/{listed}/versions/1.0.0/recertify"
    assert validator.post(address, body, content_type="application/json").status_code in (400, 422)
    assert not Event.objects.filter(type="listing.version_recertified").exists()


def test_a_seller_does_not_validate_his_own_versions(validator, agent, alice, registry):
    second = register_agent(alice, Profile("shop", "The shop", ""), metadata=sample.METADATA)
    for seller in (agent.id, second.id):
        identifier = sample.make_listing(
            quality=FIGURES, seller=seller, listing_id=sample.listing_id_for_seller(seller)
        )
        answer = send(validator, identifier, submission(), **{"LatentMAS-Agent": agent.id})
        assert (answer.status_code, answer.json()["field"]) == (422, "validator")


def test_there_must_be_something_to_compare_with(validator, registry):
    identifier = sample.make_listing(quality=sample.functional())
    answer = send(validator, identifier, submission())
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")


def test_it_asks_for_scope_and_permission(client, client_with, agent, alice, listed):
    assert send(client, listed, submission()).status_code == 401
    assert send(client_with(KV_CACHE_COMPUTE), listed, submission()).status_code == 403
    allowed = client_with(W_MATRICES_CERTIFY)
    alice.user_permissions.clear()
    assert send(allowed, listed, submission()).status_code == 403


def test_the_texts_of_a_rotation_that_has_ended_can_be_read(client):
    content = b'{"draws":[],"rotation":1,"texts":{}}'
    assert open_rotation() == open_rotation() == 1
    assert client.get("/api/private-cells/1/file").status_code == 404
    publish_rotation(1, StoredFile(blobs.put_bytes(content), len(content)), metadata=sample.METADATA)
    assert open_rotation() == 2
    newest, ended = client.get("/api/private-cells").json()["results"]
    assert (newest["number"], newest["published_at"], ended["file_size"]) == (2, None, len(content))
    assert b"".join(client.get("/api/private-cells/1/file")) == content
