"""Publishing W-Matrices with the client, and reading what proves their certificates."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from awareness_sdk import AwarenessClient, AwarenessError
from awareness_sdk.errors import NotFound
from awareness_sdk.verify import Trust, verify
from latentmas.jobs.models import Job
from latentmas.jobs.working import claim, run
from latentmas.rest.scopes import KV_CACHE_COMPUTE, W_MATRICES_PUBLISH
from latentmas.transparency import checkpoints
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.keys import signature_of
from marketplace.listings.certificates import signing
from marketplace.listings.models import Listing
from marketplace.listings.publishing.publication import SCAN
from marketplace.uploads.models import Upload
from tests.marketplace import sample
from tests.marketplace.evidence import gather
from tests.marketplace.exchange.sample import w_matrix

pytestmark = pytest.mark.django_db(transaction=True)
CHUNK = 64 << 10
SAID = {"epsilon": 0.1, "test_samples": 1000}
OFFER = {
    "title": "Mine",
    "source_model": sample.SOURCE,
    "target_model": sample.TARGET,
    "price": 1999,
    "version": "1.0.0",
}


@pytest.fixture
def agent(alice):
    return register_agent(alice, Profile("alice-labs", "Alice"), metadata=sample.METADATA)


@pytest.fixture
def seller(sdk_with, agent) -> AwarenessClient:
    return sdk_with(W_MATRICES_PUBLISH)


@pytest.fixture
def file(server, tmp_path):
    return written(tmp_path / "1.0.0.safetensors")


def written(path, **fields):
    with path.open("wb") as opened:
        w_matrix(**fields).write(opened)
    return path


def scan() -> None:
    """Do the scan that waits, as a worker does."""
    assert run(claim(Job.objects.get(kind=SCAN, state="queued").id)).result["offered"]


def test_a_file_is_uploaded_in_pieces_listed_and_offered_after_its_scan(seller, agent, file, tmp_path):
    heard = []
    listing = seller.w_matrices.publish(file, progress=lambda *sent: heard.append(sent), **OFFER, **SAID)
    assert (listing["seller"], listing["version"], heard) == (agent.id, None, [(file.stat().st_size,) * 2])
    assert not Upload.objects.exists()
    scan()
    assert seller.w_matrices.get(listing["id"])["version"] == "1.0.0"
    fetched = seller.w_matrices.download(listing["id"], "1.0.0", tmp_path / "fetched")
    assert fetched.read_bytes() == file.read_bytes()


def test_an_upload_that_broke_off_goes_on_where_it_stopped(seller, file):
    class Broken(Exception):
        pass

    def breaks(sent: int, size: int) -> None:
        raise Broken

    with pytest.raises(Broken):
        seller.w_matrices.upload(file, progress=breaks, chunk_bytes=CHUNK)
    (begun,) = Upload.objects.all()
    heard = []
    finished = seller.w_matrices.upload(file, progress=lambda sent, _: heard.append(sent), chunk_bytes=CHUNK)
    assert (finished["id"], finished["stored"]) == (begun.id, True)
    assert heard[0] == 2 * CHUNK
    assert heard[-1] == file.stat().st_size
    assert finished["digest"] == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def test_a_card_with_its_file_is_imported(seller, agent, file):
    made = seller.w_matrices.publish(file, **OFFER, **SAID)
    scan()
    card = seller.w_matrices.card(made["id"], "1.0.0")
    imported = seller.w_matrices.import_card(file, card, title="Theirs", price=0, access="private")
    assert (imported["title"], imported["seller"], imported["access"]) == ("Theirs", agent.id, "private")
    assert imported["versions"][0]["imported"]["listing_id"] == made["id"]
    card["file"]["digest"] = f"sha256:{'0' * 64}"
    with pytest.raises(AwarenessError) as refused:
        seller.w_matrices.import_card(file, card)
    assert refused.value.code == "DIGEST_MISMATCH"


def test_another_version_an_alias_and_a_yank(seller, file, tmp_path):
    identifier = seller.w_matrices.publish(file, **OFFER, **SAID)["id"]
    scan()
    newer = written(tmp_path / "1.1.0.safetensors", version="1.1.0")
    seller.w_matrices.publish_version(identifier, newer, version="1.1.0", **SAID)
    scan()
    assert seller.w_matrices.set_alias(identifier, "stable", version="1.0.0")["aliases"] == {"stable": "1.0.0"}
    assert seller.w_matrices.version(identifier, "stable")["version"] == "1.0.0"
    yanked = seller.w_matrices.yank(identifier, "1.1.0", reason="A mistake.")
    assert yanked["version"] == "1.0.0"
    with pytest.raises(AwarenessError) as refused:
        seller.w_matrices.yank(identifier, "1.1.0", reason="Again.")
    assert refused.value.code == "CONFLICT"


def test_what_the_server_refuses_is_raised(sdk_with, seller, agent, file):
    with pytest.raises(AwarenessError) as refused:
        seller.w_matrices.publish(file, **OFFER | {"version": "2.0.0"}, **SAID)
    assert (refused.value.code, refused.value.field) == ("INVALID_INPUT", "version")
    forged = signature_of(Ed25519PrivateKey.generate(), agent.id, "sha256:" + "0" * 64)
    with pytest.raises(AwarenessError) as refused:
        seller.w_matrices.publish(file, **OFFER, **SAID, signature=forged)
    assert refused.value.code == "SIGNATURE_INVALID"
    with pytest.raises(AwarenessError) as refused:
        sdk_with(KV_CACHE_COMPUTE).w_matrices.upload(file)
    assert refused.value.status == 403
    with pytest.raises(NotFound):
        seller.w_matrices.certificate("nothing", "1.0.0")


def test_certificate_card_and_proof_verify_the_file(server, settings, tmp_path):
    keys = gather(settings)["keys"]
    with AwarenessClient(base_url=server) as anybody:
        row = Listing.objects.get()
        certificate = anybody.w_matrices.certificate(row.id, "1.0.0")
        assert anybody.w_matrices.card(row.id, "1.0.0")["file"]["digest"] == certificate["file_digest"]
        file = anybody.w_matrices.download(row.id, "1.0.0", tmp_path / "file")
        proof = anybody.w_matrices.proof(row.id, "1.0.0")
    verify(file, certificate=certificate, proof=proof, trust=Trust.of_document(keys))


def test_a_certificate_that_waits_for_its_signature_or_its_checkpoint_has_no_proof(server, settings):
    settings.LOG_SIGNING_KEY, settings.CERTIFICATE_SIGNING_KEY = b"l" * 32, b"c" * 32
    identifier = sample.make_listing(at=timezone.now())
    with AwarenessClient(base_url=server) as anybody:
        for code, mend in (("NOT_SIGNED", signing.sign_certificates), ("NOT_SEALED", checkpoints.seal)):
            with pytest.raises(AwarenessError) as refused:
                anybody.w_matrices.proof(identifier, "1.0.0")
            assert refused.value.code == code
            mend(metadata=sample.METADATA)
        assert anybody.w_matrices.proof(identifier, "1.0.0")
