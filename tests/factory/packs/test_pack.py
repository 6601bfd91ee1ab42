"""Calibration packs written by a small model with random weights: the file format, not the model, is under test."""

from pathlib import Path

import numpy as np
import pytest

from factory.corpora import Split
from factory.packs.capture import capture_pack
from factory.packs.pack import OpenedPack, open_pack
from factory.packs.pairs import CHUNK_ROWS, paired_rows, require_same_corpus
from factory.progress import silent
from factory.runners.model import RunningModel
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from tests.tiny import NAME, corpus

CORPUS = corpus()


@pytest.fixture
def pack(path: Path) -> OpenedPack:
    return open_pack(path)


def test_a_pack_says_what_it_was_captured_from(pack: OpenedPack, tiny: RunningModel) -> None:
    assert (pack.document.model, pack.document.weights) == (NAME, tiny.weights)
    assert pack.document.corpus_digest == CORPUS.digest
    assert pack.document.geometry == tiny.geometry


def test_its_rows_are_the_models_own_in_fp16(pack: OpenedPack, tiny: RunningModel) -> None:
    document = CORPUS.part(Split.CALIBRATION)[0]
    index = pack.indices(Split.CALIBRATION)[document.digest]
    own = tiny.capture(tiny.encode(document.text).ids)
    np.testing.assert_allclose(pack.rows(index), own, atol=2e-3, rtol=2e-3)
    np.testing.assert_allclose(pack.rows(index)[0], own[0], rtol=1e-5, atol=1e-5)  # BOS is kept in float32


def test_it_stays_within_its_budget_of_tokens(pack: OpenedPack) -> None:
    tokens = sum(len(pack.spans_of(index)) for index in pack.indices(Split.CALIBRATION).values())
    assert 4_000 < tokens <= 5_000
    assert pack.indices(Split.SELECTION)
    assert pack.indices(Split.HELD_OUT)


def test_documents_keep_their_split(pack: OpenedPack) -> None:
    for split in Split:
        assert set(pack.indices(split)) <= {document.digest for document in CORPUS.part(split)}


def test_pairs_of_a_pack_with_itself_are_the_identity(pack: OpenedPack) -> None:
    for mine, theirs in paired_rows(pack, pack, Split.CALIBRATION):
        assert len(mine) == CHUNK_ROWS
        np.testing.assert_array_equal(mine, theirs)


def test_packs_of_different_corpora_are_not_fitted(pack: OpenedPack, path: Path, tmp_path: Path) -> None:
    file = tensors.open_tensors(path, max_bytes=1 << 30)
    other = tmp_path / "other.safetensors"
    with other.open("wb") as target:
        arrays = {name: file.read(name) for name in file.tensors}
        tensors.write(target, arrays, file.document | {"corpus_digest": "sha256:" + "2" * 64})
    with pytest.raises(InvalidInput, match="was captured on"):
        require_same_corpus(pack, open_pack(other))


def test_a_corpus_too_small_to_fit_on_is_refused(tiny: RunningModel, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    with path.open("wb") as file:
        capture_pack(tiny, CORPUS, file, calibration_tokens=1_000, progress=silent("capture"))
    with pytest.raises(InvalidInput, match=f"{CHUNK_ROWS} are the least to fit on"):
        require_same_corpus(open_pack(path), open_pack(path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "w-matrix"}, "no calibration pack"),
        ({"splits": ["training"]}, "malformed"),
        ({"documents": []}, "do not fit its rows"),
    ],
)
def test_a_pack_with_another_document_is_refused(
    path: Path, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    file = tensors.open_tensors(path, max_bytes=1 << 30)
    with (tmp_path / "bad").open("wb") as target:
        tensors.write(target, {name: file.read(name) for name in file.tensors}, file.document | change)
    with pytest.raises(InvalidInput, match=reason):
        open_pack(tmp_path / "bad")


def test_activations_beyond_fp16_are_refused(tiny: RunningModel, tmp_path: Path) -> None:
    tiny.network.model.layers[1].self_attn.v_proj.weight.data.mul_(1e8)
    try:
        with (tmp_path / "x").open("wb") as file, pytest.raises(InvalidInput, match="beyond fp16"):
            capture_pack(tiny, CORPUS, file, calibration_tokens=500, progress=silent("capture"))
    finally:
        tiny.network.model.layers[1].self_attn.v_proj.weight.data.div_(1e8)
