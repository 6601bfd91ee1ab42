"""What a seller signs, and which signatures do not hold."""

import base64

import pytest

from marketplace.agents import commands
from marketplace.agents.errors import KeyRevoked, SignatureInvalid
from marketplace.agents.keys import signed_bytes
from marketplace.agents.queries import check_signature
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db
DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def key_id(agent, public_key):
    (registered,) = commands.register_key(agent.id, public_key=public_key, metadata=METADATA)
    return registered.data.key_id


@pytest.fixture
def sign(key_id, private_key):
    return lambda message: f"{key_id}:{base64.b64encode(private_key.sign(message)).decode()}"


def test_the_agents_own_signature_holds(agent, key_id, sign):
    signature = sign(signed_bytes(agent.id, DIGEST))
    assert check_signature(agent.id, digest=DIGEST, signature=signature) == key_id


@pytest.mark.parametrize(
    "message",
    [
        lambda agent: signed_bytes(agent.id, "sha256:" + "e" * 64),
        lambda agent: signed_bytes("another agent", DIGEST),
        lambda agent: DIGEST.encode(),
    ],
    ids=["of another file", "of another agent", "for another purpose"],
)
def test_a_signature_does_not_hold(agent, sign, message):
    with pytest.raises(SignatureInvalid, match="did not sign"):
        check_signature(agent.id, digest=DIGEST, signature=sign(message(agent)))


def test_a_signature_by_a_revoked_key_does_not_hold(agent, key_id, sign):
    signature = sign(signed_bytes(agent.id, DIGEST))
    commands.revoke_key(agent.id, key_id=key_id, metadata=METADATA)
    with pytest.raises(KeyRevoked, match="is revoked"):
        check_signature(agent.id, digest=DIGEST, signature=signature)


def test_a_key_that_the_domain_dropped_signs_nothing_more(agent, private_key, public_key):
    other = base64.b64encode(b"\x02" * 32).decode()
    (verified,) = commands.verify_publisher(agent.id, domain="a.example", public_keys=[public_key], metadata=METADATA)
    commands.verify_publisher(agent.id, domain="a.example", public_keys=[other], metadata=METADATA)
    from marketplace.agents.keys import key_id_of

    signature = base64.b64encode(private_key.sign(signed_bytes(agent.id, DIGEST))).decode()
    with pytest.raises(SignatureInvalid, match="has no key"):
        check_signature(agent.id, digest=DIGEST, signature=f"{key_id_of(verified.data.public_keys[0])}:{signature}")


@pytest.mark.parametrize(
    "text", ["", "abc", "0123456789abcdef:", "0123456789abcdef:AAAA", "0123456789ABCDEF:" + "A" * 88]
)
def test_what_is_no_signature_is_refused(agent, text):
    with pytest.raises(SignatureInvalid, match="not written as"):
        check_signature(agent.id, digest=DIGEST, signature=text)
