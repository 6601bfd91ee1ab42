"""Contributed calibration packs: what can be recomputed is, and what does not hold is refused with nothing kept."""

from pathlib import Path

import numpy as np
import pytest
from django.http import UnreadablePostError
from django.test import Client

from factory.corpora import Split
from factory.models import CalibrationPack
from factory.packs.upload import receive
from latentmas.events.models import Event
from latentmas.protocol.errors import InvalidInput, TooLarge
from tests.factory.synthetic import GEOMETRY, LEE, Synthetic, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def pack() -> Synthetic:
    return Synthetic("gpt-4")


def kept(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


def test_a_pack_is_checked_stored_recorded_and_attributed(api, own_files, pack):
    response = upload(api, pack.bytes(own_files))
    answer = response.json()
    assert response.status_code == 201
    assert response["Location"] == answer["url"] == f"/api/calibration-packs/{answer['digest']}"
    assert (answer["model"], answer["corpus"], answer["space"]) == ("gpt-4", "lee-background", "kv-cache")
    assert answer["contributor"].startswith("token:")
    assert answer["width"] == GEOMETRY.width
    event = Event.objects.get(type="pack.recorded")
    assert (event.schema, event.payload["contributor"]) == (2, answer["contributor"])
    assert event.metadata["actor"] == answer["contributor"]
    assert api.get(answer["url"]).json() == answer


def test_the_same_file_again_is_the_one_that_is_there(api, own_files, pack):
    first = upload(api, pack.bytes(own_files))
    again = upload(api, pack.bytes(own_files))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert Event.objects.filter(type="pack.recorded").count() == 1


def test_its_file_can_be_taken_away_again(api, own_files, pack):
    data = pack.bytes(own_files)
    digest = upload(api, data).json()["digest"]
    response = Client().get(f"/api/calibration-packs/{digest}/file")
    assert b"".join(response.streaming_content) == data
    assert response["ETag"] == f'"{digest}"'


def test_anybody_may_list_packs_a_page_at_a_time(api, own_files):
    for model, seed in (("gpt-4", 0), ("gpt-4", 1), ("claude-3-opus", 2)):
        assert upload(api, Synthetic(model, seed=seed).bytes(own_files)).status_code == 201
    reader = Client()
    first = reader.get("/api/calibration-packs?limit=2").json()
    rest = reader.get(first["next"]).json()
    models = [each["model"] for each in first["results"] + rest["results"]]
    assert models == ["claude-3-opus", "gpt-4", "gpt-4"]
    assert (rest["next"], rest["next_cursor"]) == (None, None)
    assert len(reader.get("/api/calibration-packs?model=GPT-4").json()["results"]) == 2
    assert reader.get("/api/calibration-packs?space=embedding").json()["results"] == []


@pytest.mark.parametrize("query", ["?cursor=abc", "?limit=0", "?colour=red", "?corpus_digest=sha256:12"])
def test_a_list_that_cannot_be_is_refused(api, query):
    assert api.get(f"/api/calibration-packs{query}").json()["code"] == "INVALID_INPUT"


def test_unknown_digests_are_not_found(api):
    for digest in ("sha256:" + "0" * 64, "nothing"):
        assert api.get(f"/api/calibration-packs/{digest}").status_code == 404
        assert api.get(f"/api/calibration-packs/{digest}/file").status_code == 404


def test_contributing_needs_the_scope(other, own_files, pack):
    assert upload(other, pack.bytes(own_files)).status_code == 403
    assert upload(Client(), pack.bytes(own_files)).status_code == 401


def test_a_pack_above_the_limit_is_refused_by_its_declared_length(api, own_files, pack, settings):
    settings.CALIBRATION_PACK_MAX_BYTES = 2048
    response = upload(api, pack.bytes(own_files))
    assert (response.status_code, response.json()["facts"]["limit"]) == (413, 2048)


def test_a_body_that_is_no_file_is_refused(api):
    response = api.post("/api/calibration-packs", data={}, content_type="application/json")
    assert response.status_code == 415


@pytest.mark.parametrize("body", ["empty", "endless", "broken off"])
def test_a_body_that_does_not_come_as_declared_leaves_nothing(own_files, registry, body):
    def read(count):
        if body == "broken off":
            raise UnreadablePostError("gone")
        return b"" if body == "empty" else b"x" * count

    with pytest.raises((InvalidInput, TooLarge)):
        receive(read, limit=5 << 20, new_corpus=False)
    assert not kept(own_files)


def spoilt_rows(value):
    def spoil(pack):
        pack.arrays["rows"][777, 3] = value

    return spoil


def of(**changes):
    return lambda pack: pack.document.update(changes)


def wrong_split(pack):
    pack.document["splits"][0] = next(each.value for each in Split if each.value != pack.document["splits"][0])


def foreign_document(pack):
    from factory.corpora import Document

    pack.document["documents"][0] = "ab" * 32
    pack.document["splits"][0] = Document("", "ab" * 32).split.value


def same_document_twice(pack):
    pack.document["documents"][1] = pack.document["documents"][0]
    pack.document["splits"][1] = pack.document["splits"][0]


def backwards(pack):
    pack.arrays["spans"][5], pack.arrays["spans"][6] = pack.arrays["spans"][6].copy(), pack.arrays["spans"][5].copy()


def beyond(pack):
    pack.arrays["spans"][pack.arrays["starts"][1] - 1] = (4990, 5000)


def reversed_span(pack):
    pack.arrays["spans"][0] = (6, 5)


def constant(pack):
    pack.arrays["rows"][:] = 1.0


def few_rows(pack):
    for name in ("rows", "spans"):
        pack.arrays[name] = pack.arrays[name][: pack.arrays["starts"][4]]
    pack.arrays["starts"] = pack.arrays["starts"][:5]
    pack.document["documents"], pack.document["splits"] = (pack.document[each][:4] for each in ("documents", "splits"))


def wide_floats(pack):
    pack.arrays["rows"] = pack.arrays["rows"].astype(np.float32)


def nan_bos(pack):
    pack.arrays["bos"][0] = np.nan


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (spoilt_rows(np.nan), "INVALID_INPUT", "NaN or infinity"),
        (spoilt_rows(np.inf), "INVALID_INPUT", "NaN or infinity"),
        (nan_bos, "INVALID_INPUT", "NaN or infinity"),
        (constant, "INVALID_INPUT", "all rows"),
        (few_rows, "INVALID_INPUT", "2048 are the least"),
        (wide_floats, "INVALID_INPUT", "holds it as float16"),
        (of(model="gpt-5000"), "MODEL_NOT_SUPPORTED", "not in the registry"),
        (of(model="GPT-4"), "INVALID_INPUT", "'gpt-4'"),
        (of(model="bert"), "MODEL_NOT_SUPPORTED", "keeps no KV-cache"),
        (of(model="smollm2-135m"), "DIMENSION_MISMATCH", "has 30"),
        (of(weights="unknown"), "INVALID_INPUT", "weights"),
        (of(corpus_digest="sha256:" + "1" * 64), "INVALID_INPUT", LEE.digest),
        (of(corpus_digest="sha256:" + "1" * 64, corpus="mine"), "INVALID_INPUT", "no corpus with the digest"),
        (of(corpus="mine"), "INVALID_INPUT", "is called 'lee-background'"),
        (of(corpus=" "), "INVALID_INPUT", "1 to 200"),
        (of(kind="w-matrix"), "INVALID_INPUT", "no calibration pack"),
        (wrong_split, "INVALID_INPUT", "by its hash it is"),
        (foreign_document, "INVALID_INPUT", "not one of lee-background"),
        (same_document_twice, "INVALID_INPUT", "twice"),
        (backwards, "INVALID_INPUT", "goes back"),
        (beyond, "INVALID_INPUT", "read up to"),
        (reversed_span, "INVALID_INPUT", "ends before it starts"),
    ],
)
def test_a_pack_that_cannot_be_what_it_says_is_refused_and_nothing_is_kept(api, own_files, pack, spoil, code, said):
    spoil(pack)
    answer = upload(api, pack.bytes(own_files)).json()
    assert answer["code"] == code
    assert said in answer["detail"]
    assert not kept(own_files)
    assert not Event.objects.filter(type="pack.recorded").exists()


def test_a_new_corpus_must_be_declared_and_is_known_from_then_on(api, own_files, pack):
    pack.document |= {"corpus": "mine", "corpus_digest": "sha256:" + "3" * 64}
    refused = upload(api, pack.bytes(own_files)).json()
    assert "?new_corpus=true" in refused["resolution"]
    assert upload(api, pack.bytes(own_files), "?newCorpus=true").status_code == 201
    other = Synthetic("claude-3-opus", seed=5)
    other.document |= {"corpus": "mine", "corpus_digest": "sha256:" + "3" * 64}
    assert upload(api, other.bytes(own_files)).status_code == 201


def test_a_truncated_file_is_refused(api, own_files, pack):
    assert upload(api, pack.bytes(own_files)[:-100]).json()["code"] == "INVALID_INPUT"
    assert not CalibrationPack.objects.exists()
    assert not kept(own_files)
