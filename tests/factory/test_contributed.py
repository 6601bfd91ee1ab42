"""Contributed packs whose models can be run here: an honest pair is certified, a forged pack earns no certificate.

Two tiny models stand in for two closed ones of the registry, of whose caches nothing is published.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client

from benchmarks.walks import corpus, save_model
from factory import contributed, jobs, session
from factory.corpora import Split, TextCorpus, load_corpus
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.models import CalibrationPack
from factory.packs.capture import capture_pack
from factory.packs.pack import OpenedPack, open_pack
from factory.progress import silent
from factory.runners.model import load_model
from latentmas import blobs
from latentmas.events.models import Event
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from latentmas.runners.weights import Weights
from marketplace.listings.models import ListingVersion
from tests.factory.synthetic import upload
from tests.work import work

pytest.importorskip("torch")
pytestmark = pytest.mark.django_db

SOURCE, TARGET = "gpt-4", "claude-3-opus"
TOKENS = 4000
PASSAGES = 5
Spoil = Callable[[OpenedPack, dict[str, np.ndarray]], None]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Weights]:
    """Two tiny models that expect the words that they have read, so that a memory is of use to them."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate((SOURCE, TARGET)):
        save_model(folder / name, seed)
    return {name: Weights(name, folder / name, f"sha256:{seed:064x}") for seed, name in enumerate((SOURCE, TARGET))}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> TextCorpus:
    return load_corpus(corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt"))


@pytest.fixture(scope="module")
def captured(weights: dict[str, Weights], texts: TextCorpus, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packs")
    for name, each in weights.items():
        with (folder / name).open("wb") as file:
            capture_pack(load_model(each), texts, file, calibration_tokens=TOKENS, progress=silent("capture"))
    return {name: folder / name for name in weights}


@pytest.fixture
def installed(weights: dict[str, Weights], texts: TextCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server have both models and the text."""
    monkeypatch.setattr(contributed, "PACKAGED", weights)
    monkeypatch.setattr(session, "find_weights", lambda name, **_options: weights[name])
    monkeypatch.setattr(contributed, "text_of", lambda digest: texts)
    monkeypatch.setattr(jobs, "text_of", lambda digest: texts)
    monkeypatch.setattr(jobs, "TEST_SAMPLES", 300)
    monkeypatch.setattr("factory.certifying.private.secrets.randbits", lambda _bits: 5)  # the same texts in every run
    monkeypatch.setattr("factory.recipes.draft.FORECAST_TOKENS", 64)  # the texts are short
    documents = texts.part(Split.HELD_OUT)[:PASSAGES]
    cell = SuiteCell("words", 128, lambda: documents, len(documents), wanted=PASSAGES)
    suite = EvaluationSuite("suite/test", "sha256:" + "0" * 64, (cell,))
    monkeypatch.setattr(session.FactorySession, "suite", suite)
    chosen = texts.part(Split.SELECTION)
    selection = SuiteCell("words", 128, lambda: chosen, len(chosen), wanted=8)
    monkeypatch.setattr(session.FactorySession, "selection", (selection,))


@pytest.fixture
def send(api: Client, captured: dict[str, Path], tmp_path: Path) -> Callable[..., str]:
    """Contributes the pack of a model, spoilt or not, and returns its digest."""

    def contribute(name: str, spoil: Spoil | None = None) -> str:
        pack = open_pack(captured[name])
        arrays = {each: pack.file.read(each) for each in pack.file.tensors}
        if spoil is not None:
            spoil(pack, arrays)
        with (tmp_path / name).open("wb") as file:
            tensors.write(file, arrays, pack.file.document)
        response = upload(api, (tmp_path / name).read_bytes(), "?new_corpus=true")
        assert response.status_code == 201, response.json()
        return response.json()["digest"]

    return contribute


def job_of(client: Client, **changes: object) -> dict[str, Any]:
    """Ask for the pair's W-Matrix and return the finished job."""
    body = {"source_model": SOURCE, "target_model": TARGET, "unified_dimension": 128} | changes
    response = client.post("/api/latentmas/w-matrix/generate", data=json.dumps(body), content_type="application/json")
    assert response.status_code == 202, response.json()
    list(work())
    answer: dict[str, Any] = client.get(response["Location"]).json()
    return answer


def zeroed_sink(pack: OpenedPack, arrays: dict[str, np.ndarray]) -> None:
    arrays["bos"][:] = 0


def held_out_rows_under_calibration_digests(pack: OpenedPack, arrays: dict[str, np.ndarray]) -> None:
    put(pack, arrays, under=pack.indices(Split.CALIBRATION), of=pack.indices(Split.HELD_OUT))


def swapped_documents(pack: OpenedPack, arrays: dict[str, np.ndarray]) -> None:
    calibration = pack.indices(Split.CALIBRATION)
    put(pack, arrays, under=calibration, of=dict(zip(calibration, reversed(calibration.values()), strict=True)))


def put(pack: OpenedPack, arrays: dict[str, np.ndarray], *, under: dict[str, int], of: dict[str, int]) -> None:
    """Put the rows of some documents under the digests of others, which are equally long."""
    rows = arrays["rows"].copy()
    for place, index in enumerate(under.values()):
        other = list(of.values())[place % len(of)]
        here, there = (slice(int(pack.starts[each]), int(pack.starts[each + 1])) for each in (index, other))
        arrays["rows"][here] = rows[there]


ATTACKS = [
    (zeroed_sink, "bos"),
    (held_out_rows_under_calibration_digests, "rows"),
    (swapped_documents, "rows"),
]


def test_honest_packs_of_models_at_hand_are_measured_here_and_certified(api, send, installed) -> None:
    for name in (SOURCE, TARGET):
        send(name)
    result = job_of(api)["result"]
    assert (result["basis"], result["certificate"]["decision"]) == ("functional", "certified")
    assert not CalibrationPack.objects.filter(refused__isnull=False).exists()


@pytest.mark.parametrize(("spoil", "field"), ATTACKS)
@pytest.mark.parametrize("forged", [(SOURCE,), (TARGET,), (SOURCE, TARGET)])
def test_a_forged_pack_earns_no_certificate(api, send, installed, spoil, field, forged) -> None:
    """Two that were forged alike pair well: fitted on what is measured, their map would look good."""
    digests = {name: send(name, spoil if name in forged else None) for name in (SOURCE, TARGET)}
    problem = job_of(api)["problem"]
    assert (problem["code"], problem["field"]) == ("INVALID_INPUT", field)
    refused = problem["facts"]["pack"]
    assert refused in [digests[name] for name in forged]
    assert f"the pack {refused} is refused" in problem["detail"]
    if field == "rows":
        assert problem["facts"]["document"] in open_pack(blobs.local_path(refused)).document.documents
    assert not ListingVersion.objects.exists()


def test_a_refused_pack_is_on_record_and_never_used_again(api, send, installed) -> None:
    """Another try would draw other documents, and so could succeed in the end."""
    digest = send(SOURCE, zeroed_sink)
    send(TARGET)
    reason = job_of(api)["problem"]["detail"].partition(" is refused: ")[2]
    event = Event.objects.get(type="pack.refused")
    assert (event.payload["digest"], event.payload["field"], event.payload["document"]) == (digest, "bos", None)
    assert api.get(f"/api/calibration-packs/{digest}").json()["refused"] == event.payload["reason"] == reason
    body = {"source_model": SOURCE, "target_model": TARGET, "source_pack": digest}
    named = api.post("/api/latentmas/w-matrix/generate", data=json.dumps(body), content_type="application/json").json()
    assert (named["code"], named["field"]) == ("INVALID_INPUT", "source_pack")
    assert reason in named["detail"]
    del body["source_pack"]
    chosen = api.post("/api/latentmas/w-matrix/generate", data=json.dumps(body), content_type="application/json").json()
    assert chosen["code"] == "W_MATRIX_NOT_FOUND"


def test_a_pack_is_checked_where_only_its_own_model_is_at_hand(api, send, installed, weights, monkeypatch) -> None:
    monkeypatch.setattr(contributed, "PACKAGED", {SOURCE: weights[SOURCE]})
    send(SOURCE, swapped_documents)
    send(TARGET)
    assert job_of(api)["problem"]["field"] == "rows"


@pytest.mark.parametrize("spoil", [spoil for spoil, _ in ATTACKS])
def test_what_cannot_be_checked_is_declared_and_not_certified(api, send, spoil) -> None:
    """Neither the models nor the text are here."""
    send(SOURCE)
    send(TARGET, spoil)
    result = job_of(api)["result"]
    assert (result["basis"], result["certificate"]["decision"]) == ("declared", "refused")
    assert "'declared' are never certified" in result["certificate"]["reasons"][0]


@pytest.mark.parametrize(("contributor", "basis"), [(None, "activation"), ("token:somebody", "declared")])
def test_only_rows_that_this_server_captured_count_as_measured(api, send, contributor, basis) -> None:
    for name in (SOURCE, TARGET):
        send(name)
    CalibrationPack.objects.filter(model=SOURCE).update(contributor=None)
    CalibrationPack.objects.filter(model=TARGET).update(contributor=contributor)
    result = job_of(api)["result"]
    assert result["basis"] == basis
    listing = api.get(f"/api/w-matrices/{result['listing_id']}").json()
    assert ("somebody sent" in listing["description"]) == (basis == "declared")


@pytest.mark.parametrize("forged", [SOURCE, TARGET])
def test_the_finished_files_sinks_are_compared_with_the_models_own(api, send, installed, monkeypatch, forged) -> None:
    """Even if the pack had passed its spot-check."""
    monkeypatch.setattr(contributed, "spot_check", lambda *_arguments, **_options: None)
    for name in (SOURCE, TARGET):
        send(name, zeroed_sink if name == forged else None)
    problem = job_of(api)["problem"]
    assert problem["field"] == ("source_bos" if forged == SOURCE else "target_bos")
    assert not ListingVersion.objects.exists()


def test_a_corpus_whose_text_is_not_installed_leaves_a_model_unrun(api, send, installed, monkeypatch) -> None:
    def absent(digest: str) -> TextCorpus:
        raise InvalidInput("the packaged corpora come with gensim, which is not installed")

    monkeypatch.setattr(jobs, "text_of", absent)
    for name in (SOURCE, TARGET):
        send(name)
    assert job_of(api)["result"]["basis"] == "declared"
