"""The command that makes maps of vectors, and the session's packs of embeddings; the models are stood in for."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from factory.corpora import Split, load_corpus
from factory.models import CalibrationPack
from factory.packs.capture import capture_embeddings
from factory.packs.pack import open_pack
from factory.recipes import embeddings
from factory.session import FactorySession
from latentmas.runners.weights import Weights
from marketplace.listings.models import Listing, ListingVersion

pytestmark = pytest.mark.django_db
MODELS = {"all-minilm-l6-v2", "smollm2-135m"}
WIDTHS = {"all-minilm-l6-v2": 12, "smollm2-135m": 20}


class Stub:
    """Turns letters' counts into vectors: what two of them say of a passage is related."""

    normalised = False

    def __init__(self, weights: Weights) -> None:
        self.name, self.weights = weights.model, weights.digest
        self.dimension = WIDTHS[weights.model]
        self.matrix = np.random.default_rng(self.dimension).normal(size=(128, self.dimension))

    def embed(self, passages):
        counts = [np.bincount([ord(each) % 128 for each in text], minlength=128) for text in passages]
        return (np.array(counts) @ self.matrix / 10).astype(np.float32)


@pytest.fixture
def stood_in(registry, own_files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embeddings, "load_embedding_model", Stub)
    monkeypatch.setattr(FactorySession, "weights", lambda _self, name: Weights(name, tmp_path, "sha256:" + "a" * 64))


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("align_vectors", *arguments, stdout=output)
    return output.getvalue()


def test_it_makes_both_directions_and_lists_them(stood_in) -> None:
    output = run("all-minilm-l6-v2", "smollm2-135m", "--corpus", "lee", "--passages", "400", "--publish")
    assert "all-minilm-l6-v2" in output
    assert sorted(Listing.objects.values_list("source_model", "space", "basis")) == [
        ("all-minilm-l6-v2", "embedding", "functional"),
        ("smollm2-135m", "embedding", "functional"),
    ]
    version = ListingVersion.objects.get(source_model="all-minilm-l6-v2")
    assert (version.source_dimension, version.target_dimension, version.version) == (12, 20, "1.0.0")
    assert version.quality["retrieval"]["candidates"] == version.quality["test_samples"]
    packs = CalibrationPack.objects.all()
    assert {(pack.model, pack.space, pack.calibration_tokens, pack.width) for pack in packs} == {
        (name, "embedding", 400, width) for name, width in WIDTHS.items()
    }


def test_a_second_run_uses_the_packs_on_record(stood_in, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*sorted(MODELS), "--corpus", "lee", "--passages", "400")
    monkeypatch.setattr(embeddings, "load_embedding_model", lambda _weights: pytest.fail("the model ran again"))
    run(*sorted(MODELS), "--corpus", "lee", "--passages", "400")
    assert not Listing.objects.exists()


def test_packs_hold_every_split(stood_in, tmp_path: Path) -> None:
    path = tmp_path / "pack"
    with path.open("wb") as file:
        capture_embeddings(
            Stub(Weights("smollm2-135m", tmp_path, "sha256:0")),  # type: ignore[arg-type]
            load_corpus(),
            file,
            passages=300,
            progress=lambda _done, _total: None,
        )
    pack = open_pack(path)
    counted = {split: sum(len(pack.spans_of(index)) for index in pack.indices(split).values()) for split in Split}
    assert counted == {Split.CALIBRATION: 180, Split.SELECTION: 30, Split.HELD_OUT: 90}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["smollm2-135m"], "is one model; name two or more"),
        (["smollm2-135m", "smollm2-135m-instruct"], "is one model; name two or more"),
        (["smollm2-135m", "nobody"], "MODEL_NOT_SUPPORTED"),
        (["smollm2-135m", "all-minilm-l6-v2", "--passages", "10"], "it must be at least 250"),
        (["smollm2-135m", "all-minilm-l6-v2", "--corpus", "/nowhere"], "neither a file nor a folder"),
    ],
)
def test_it_refuses_what_it_cannot_do(stood_in, arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run(*arguments)
