"""Publishing over REST: as arrays, as a finished upload, and as the file itself."""

import base64
import hashlib
import io
from dataclasses import replace
from urllib.parse import urlencode

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kvcache.exchange.mapping import open_w_matrix
from latentmas import blobs
from latentmas.events.models import Event
from latentmas.events.store import read_all
from latentmas.jobs.models import Job
from latentmas.jobs.working import claim, run
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space, read_w_matrix
from marketplace.agents.commands import register_key
from marketplace.agents.keys import key_id_of, signed_bytes
from marketplace.listings.commands import CERTIFY, certify_version
from marketplace.listings.events.certification import VersionRefused
from marketplace.listings.events.lifecycle import ScanBegun
from marketplace.listings.lifecycle.commands import By, erase_texts
from marketplace.listings.models import Listing, ListingText, ListingVersion
from marketplace.listings.publishing.publication import SCAN, publish_upload
from marketplace.texts.erasable import ERASED
from tests.marketplace import sample
from tests.marketplace.exchange.sample import w_matrix
from tests.marketplace.sample import METADATA, SOURCE, TARGET

pytestmark = pytest.mark.django_db
W_MATRICES = "/api/w-matrices"
FILE_TYPE = "application/vnd.safetensors"
DECLARED = {"version": "1.0.0", "epsilon": 0.0, "test_samples": 100_000, "cosine_similarity": 1.0}
FIELDS = {"title": "Mine", "source_model": SOURCE, "target_model": TARGET, "price": 1999, "tags": ["fast"]} | DECLARED
VECTORS = {"source_model": "qwen-7b", "target_model": "llama-3-8b", "space": "embedding"}


def file_of(**fields):
    file = io.BytesIO()
    w_matrix(**fields).write(file)
    return file.getvalue()


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def query_of(**changes):
    fields = FIELDS | {"tags": "fast"} | changes
    return urlencode({name: value for name, value in fields.items() if value is not None})


def send_file(client, data, **changes):
    return client.post(f"{W_MATRICES}?{query_of(**changes)}", data, FILE_TYPE)


def send_arrays(client, **changes):
    body = FIELDS | {"source_dimension": 3, "target_dimension": 2, "weights": [[1, 0], [0, 1], [1, 1]]} | VECTORS
    body |= changes
    return client.post(
        W_MATRICES, {name: value for name, value in body.items() if value is not None}, "application/json"
    )


def scan():
    """Do the scan that waits."""
    return run(claim(Job.objects.get(kind=SCAN, state="queued").id))


@pytest.fixture
def data(registry):
    return file_of()


def test_a_file_is_listed_scanned_and_then_offered(publisher, seller, client, data):
    made = send_file(publisher, data, digest=digest_of(data))
    assert made.status_code == 201, made.json()
    assert (made["ETag"], made.json()["seller"], made.json()["version"]) == ('"3"', seller, None)
    (version,) = made.json()["versions"]
    assert (version["basis"], version["scan"]["state"], version["offered"]) == ("declared", "scanning", False)
    assert (version["file"]["digest"], version["publisher"]) == (digest_of(data), seller)
    assert client.get(f"{made['Location']}/versions/1.0.0").json()["code"] == "VERSION_NOT_OFFERED"
    assert client.get(W_MATRICES).json()["results"] == []

    job = scan()
    assert (job.state, job.result["offered"], job.result["reasons"]) == ("done", True, [])
    shown = client.get(made["Location"]).json()
    assert (shown["version"], shown["basis"], shown["certification"]) == ("1.0.0", "declared", None)
    assert client.get(f"{made['Location']}/versions/1.0.0/file").status_code == 402
    assert publisher.get(f"{made['Location']}/versions/1.0.0/file").getvalue() == data
    assert [row["title"] for row in client.get(W_MATRICES).json()["results"]] == ["Mine"]
    assert [each.licences[0]["model"] for each in Listing.objects.all()] == [SOURCE]


def test_a_scanned_file_waits_for_the_certifier(publisher, data):
    send_file(publisher, data)
    job = scan()
    waiting = Job.objects.get(kind=CERTIFY)
    assert (str(waiting.id), waiting.requested_by) == (job.result["certification_job"], job.requested_by)


def test_what_a_seller_says_is_declared_and_never_certified(publisher, data):
    send_file(publisher, data)
    scan()
    row = ListingVersion.objects.get()
    assert (row.basis, row.epsilon, row.quality["retention"]) == ("declared", 0.0, None)
    decision = certify_version(row.listing_id, version="1.0.0", metadata=METADATA)
    assert isinstance(decision, VersionRefused)


def test_a_defective_file_is_never_offered(publisher, client, registry):
    zero = file_of(more={"target_bos": np.zeros(9216, "f4")})
    made = send_file(publisher, zero)
    job = scan()
    assert not job.result["offered"]
    mine = publisher.get(made["Location"]).json()
    assert mine["versions"][0]["scan"] == {"state": "refused", "reasons": job.result["reasons"]}
    assert client.get(made["Location"]).json()["versions"] == []
    assert client.get(f"{made['Location']}/versions/1.0.0/file").json()["code"] == "VERSION_NOT_OFFERED"
    assert not Job.objects.filter(kind=CERTIFY).exists()


def test_a_finished_upload_is_listed(publisher, data):
    begun = publisher.post("/api/uploads", {"size": len(data), "digest": digest_of(data)}, "application/json").json()
    body = {"upload": begun["id"]} | FIELDS
    unfinished = publisher.post(W_MATRICES, body, "application/json")
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "CONFLICT")
    publisher.patch(begun["url"], data, "application/octet-stream", headers={"Upload-Offset": "0"})
    made = publisher.post(W_MATRICES, body, "application/json")
    assert (made.status_code, made.json()["versions"][0]["file"]["digest"]) == (201, digest_of(data))
    assert publisher.get(begun["url"]).status_code == 404


def test_weights_and_biases_are_listed_as_a_file_that_maps_as_they_say(publisher, registry):
    weights = np.random.default_rng(0).normal(size=(5, 4)).round(3)
    made = send_arrays(
        publisher, source_dimension=5, target_dimension=4, weights=weights.tolist(), biases=[1.0, 2.0, 3.0, 4.0]
    )
    assert made.status_code == 201, made.json()
    matrix = read_w_matrix(blobs.local_path(made.json()["versions"][0]["file"]["digest"]))
    assert (matrix.document.space, matrix.document.quality_metrics.basis) == (Space.EMBEDDING, "declared")
    rows = np.random.default_rng(1).normal(size=(7, 5)).astype("f4")
    opened = open_w_matrix(matrix).map
    mapped = np.asarray(opened.apply(rows))
    np.testing.assert_allclose(mapped, rows @ weights + [1, 2, 3, 4], atol=1e-5)


def test_phase_1s_spelling_is_taken(publisher, registry):
    body = FIELDS | VECTORS | {"weights": [[1.0]], "sourceDimension": 1, "targetDimension": 1, "cosineSimilarity": 0.9}
    body["sourceModel"] = body.pop("source_model")
    body.pop("cosine_similarity")
    body |= {"testSamples": body.pop("test_samples"), "euclideanDistance": 0.3, "standard": "8192"}
    made = publisher.post(W_MATRICES, body, "application/json")
    assert (made.status_code, made.json()["versions"][0]["standard"]) == (201, 8192)


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"price": -1}, 422, "INVALID_INPUT", "price"),
        ({"price": 19.99}, 422, "INVALID_INPUT", "price"),
        ({"price": "19.99"}, 422, "INVALID_INPUT", "price"),
        ({"price": True}, 422, "INVALID_INPUT", "price"),
        ({"price": {"amount": 1, "currency": "dollars"}}, 422, "INVALID_INPUT", "price"),
        ({"price": {"amount": 1, "cents": 2}}, 422, "INVALID_INPUT", "price"),
        ({"tags": ["<script>"]}, 422, "INVALID_INPUT", "tags"),
        ({"tags": ["x"] * 21}, 422, "INVALID_INPUT", "tags"),
        ({"title": "\x07"}, 422, "INVALID_INPUT", "title"),
        ({"version": "1.0"}, 422, "INVALID_INPUT", "version"),
        ({"epsilon": 1.5}, 422, "INVALID_INPUT", "epsilon"),
        ({"epsilon": "nan"}, 422, "INVALID_INPUT", "epsilon"),
        ({"cosine_similarity": "nan"}, 422, "INVALID_INPUT", "cosine_similarity"),
        ({"weights": None}, 422, "INVALID_INPUT", "weights"),
        ({"upload": "a" * 32}, 422, "INVALID_INPUT", "weights"),
        ({"weights": [[1, 2], [3]]}, 422, "INVALID_INPUT", "weights"),
        ({"weights": [[0, 0]] * 3}, 422, "INVALID_INPUT", "weights"),
        ({"weights": [[1, 0]]}, 422, "DIMENSION_MISMATCH", "weights"),
        ({"biases": [1.0]}, 422, "DIMENSION_MISMATCH", "biases"),
        ({"source_dimension": None}, 422, "INVALID_INPUT", "source_dimension"),
        ({"standard": 5000}, 422, "INVALID_INPUT", "standard"),
        ({"source_model": "gpt-5000"}, 404, "MODEL_NOT_SUPPORTED", None),
        ({"target_model": "qwen-7b"}, 422, "INVALID_INPUT", None),
        ({"basis": "functional"}, 422, "INVALID_INPUT", "basis"),
        ({"quality": {"retention": 1}}, 422, "INVALID_INPUT", "quality"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(publisher, registry, changes, status, code, field):
    before = Event.objects.count()
    refused = send_arrays(publisher, **changes)
    assert (refused.status_code, refused.json()["code"], refused.json().get("field")) == (status, code, field)
    assert Event.objects.count() == before
    assert not Job.objects.exists()
    assert not ListingText.objects.exists()


def test_a_file_that_is_not_the_announced_one_is_refused_and_not_kept(publisher, data):
    other = digest_of(b"another")
    refused = send_file(publisher, data, digest=other)
    assert (refused.status_code, refused.json()["code"], refused.json()["facts"]["expected"]) == (
        *(422, "DIGEST_MISMATCH"),
        other,
    )
    assert not blobs.exists(digest_of(data))
    assert not Listing.objects.exists()


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04", (1 << 62).to_bytes(8, "little") + b"{}", b"\x02" + b"\0" * 7 + b"[]"]
)
def test_a_hostile_header_is_refused_before_anything_is_recorded(publisher, registry, content):
    refused = send_file(publisher, content)
    assert refused.json()["code"] in ("INVALID_INPUT", "TOO_LARGE")
    assert not Listing.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"), [({"version": "1.0.1"}, "version"), ({"source_model": "qwen-7b"}, "source_model")]
)
def test_what_the_file_says_of_itself_must_be_what_is_listed(publisher, data, changes, field):
    refused = send_file(publisher, data, **changes)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_a_body_above_the_limit_is_refused_unread(publisher, data, settings):
    settings.W_MATRIX_MAX_BYTES = 2048
    refused = send_file(publisher, data)
    assert (refused.status_code, refused.json()["facts"]["limit"]) == (413, 2048)
    assert not blobs.exists(digest_of(data))


def test_it_needs_the_scope_and_an_agent(client, data, other_agent):
    assert send_file(client, data).status_code == 401
    assert client.post(W_MATRICES, b"", "text/plain").status_code == 401


def test_a_form_is_not_taken(publisher, registry):
    refused = publisher.post(W_MATRICES, {"title": "x"})
    assert refused.status_code == 415


def test_the_same_request_again_is_answered_again_and_listed_once(publisher, data):
    path = f"{W_MATRICES}?{query_of()}"
    first, again = (publisher.post(path, data, FILE_TYPE, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (201, 201, "true")
    assert first.json() == again.json()
    assert Listing.objects.count() == 1
    other = publisher.post(path, data + b" ", FILE_TYPE, headers={"Idempotency-Key": "one"})
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.fixture
def listed(publisher, data):
    made = send_file(publisher, data)
    scan()
    return made.json()["id"]


def publish(client, listed, data, *, etag=None, **changes):
    query = urlencode(DECLARED | changes)
    etag = etag or f'"{Listing.objects.get().stream_version}"'
    return client.post(f"{W_MATRICES}/{listed}/versions?{query}", data, FILE_TYPE, headers={"If-Match": etag})


def test_another_version_is_published_beside_the_first(publisher, client, listed):
    made = publish(publisher, listed, file_of(version="1.1.0"), version="1.1.0")
    assert (made.status_code, made["Location"]) == (201, f"{W_MATRICES}/{listed}/versions/1.1.0")
    assert client.get(f"{W_MATRICES}/{listed}").json()["version"] == "1.0.0"
    scan()
    assert client.get(f"{W_MATRICES}/{listed}").json()["version"] == "1.1.0"


def test_a_version_that_exists_or_is_lower_than_the_latest_of_its_major_is_refused(publisher, listed):
    other = {"more": {"latent_scale": np.full(4, 2, "f4")}}
    exists = publish(publisher, listed, file_of(**other))
    assert (exists.status_code, exists.json()["code"]) == (409, "CONFLICT")
    assert publish(publisher, listed, file_of(version="2.1.0"), version="2.1.0").status_code == 201
    scan()
    lower = publish(publisher, listed, file_of(version="2.0.9"), version="2.0.9")
    assert (lower.status_code, "lower than 2.1.0" in lower.json()["detail"]) == (409, True)
    assert publish(publisher, listed, file_of(version="1.0.1"), version="1.0.1").status_code == 201


def test_a_change_says_which_version_of_the_listing_it_saw(publisher, listed, data):
    path, body = f"{W_MATRICES}/{listed}/price", {"price": {"amount": 5, "currency": "EUR"}}
    missing = publisher.put(path, body, "application/json")
    assert (missing.status_code, missing.json()["code"]) == (428, "PRECONDITION_REQUIRED")
    stale = publisher.put(path, body, "application/json", headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "VERSION_CONFLICT")
    assert publish(publisher, listed, file_of(version="1.1.0"), version="1.1.0", etag='"1"').status_code == 412
    assert Listing.objects.get().price_amount == 1999
    assert ListingVersion.objects.count() == 1


def test_a_stranger_publishes_nothing_in_anothers_listing(other_agent, listed):
    _, stranger = other_agent("mallory")
    refused = publish(stranger, listed, file_of(version="1.1.0"), version="1.1.0")
    assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
    assert ListingVersion.objects.count() == 1


@pytest.mark.parametrize("basis", [Basis.FUNCTIONAL, Basis.ACTIVATION, Basis.SIMULATED])
def test_a_seller_records_no_figures_but_declared_ones(listed, seller, basis):
    version = replace(sample.published("1.1.0"), quality=sample.unmeasured(basis))
    with pytest.raises(InvalidInput) as refusal:
        publish_upload(listed, version, signature=None, by=By(seller, METADATA))
    assert (refusal.value.facts["field"], basis.value in refusal.value.message) == ("quality.basis", True)
    assert ListingVersion.objects.count() == 1


def test_a_signature_is_checked_and_recorded(publisher, seller, data):
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    register_key(seller, public_key=public, metadata=METADATA)

    def signed(digest):
        signature = base64.b64encode(key.sign(signed_bytes(seller, digest))).decode()
        return f"{key_id_of(public)}:{signature}"

    refused = send_file(publisher, data, signature=signed(digest_of(b"another")))
    assert (refused.status_code, refused.json()["code"]) == (422, "SIGNATURE_INVALID")
    assert not Listing.objects.exists()
    good = signed(digest_of(data))
    assert send_file(publisher, data, signature=good).status_code == 201
    (begun,) = [each.data for each in read_all(limit=100) if isinstance(each.data, ScanBegun)]
    assert (begun.publisher, begun.signature) == (seller, good)


def test_the_sellers_statement_of_rights_is_shown_and_can_be_erased(publisher, client, data):
    said = "I fitted it from texts of my own."
    made = send_file(publisher, data, seller_statement=said)
    assert made.json()["seller_statement"] == said
    scan()
    address = f"{made['Location']}/versions/1.0.0/manifest"
    assert client.get(address).json()["rights"]["seller_statement"] == said
    assert said.encode() not in b"".join(bytes(body) for body in Event.objects.values_list("body", flat=True))
    erase_texts(made.json()["id"], metadata=METADATA)
    assert client.get(address).json()["rights"]["seller_statement"] == ERASED
    assert send_file(publisher, data, seller_statement="x" * 2001).json()["field"] == "seller_statement"
