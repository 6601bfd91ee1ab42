"""Maps between embedding spaces, from packs that were generated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factory.corpora import Split
from factory.packs.pack import PackDocument, open_pack
from factory.recipes.embedding_fit import GAINS, PENALTIES, fit_vectors, same_passages
from factory.recipes.embeddings import judge
from kvcache.exchange.mapping import open_map
from latentmas.protocol import tensors
from latentmas.protocol.certification import refusals
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space
from tests.factory.embedding_packs import FACTORS, PASSAGES, embedding_pack


@pytest.fixture
def packs(tmp_path: Path):
    return embedding_pack(tmp_path / "a", "model-a", seed=1), embedding_pack(tmp_path / "b", "model-b", seed=2)


def test_a_pack_of_embeddings_has_no_bos_and_says_how_wide_it_is(packs) -> None:
    source, _ = packs
    assert source.bos is None
    assert (source.document.space, source.document.width, source.document.geometry) == (Space.EMBEDDING, 16, None)
    assert source.rows(3).shape == (PASSAGES, 16)
    assert source.rows(3).dtype == np.float32


def test_a_pack_that_does_not_say_how_wide_its_rows_are_is_refused(packs, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="an embedding a dimension alone"):
        replace(packs[0].document, dimension=None)
    with pytest.raises(InvalidInput, match="a kv-cache has a geometry alone"):
        PackDocument("m", "w", "c", "d", (), (), dimension=4)


def test_a_pack_whose_rows_are_not_as_wide_as_it_says_is_refused(packs, tmp_path: Path) -> None:
    source, _ = packs
    path = tmp_path / "wrong"
    with path.open("wb") as file:
        arrays = {name: source.file.read(name) for name in source.file.tensors}
        tensors.write(file, arrays, source.file.document | {"dimension": 17})
    with pytest.raises(DimensionMismatch, match=r"\(280, 16\); the pack asks for \(280, 17\)"):
        open_pack(path)


def test_the_map_finds_held_out_passages_that_share_their_factors(packs) -> None:
    best, trials = fit_vectors(*packs)
    quality = judge(best.fitted.arrays(), *packs, corpus_documents=70)
    found = quality.retrieval
    assert found is not None
    assert found.top1.value > 0.9
    assert found.top1.low <= found.top1.value <= found.top1.high
    assert found.top5.value >= found.top1.value
    assert (found.candidates, quality.documents, found.chance) == (80, 20, 1 / 80)
    assert found.random_w_top1.high < found.top1.low
    assert (quality.basis, quality.epsilon) == (Basis.FUNCTIONAL, 1 - found.top1.value)
    assert quality.information_retention > 0.8
    assert refusals(quality) == ()
    assert len(trials) == len(GAINS) * (2 * len(PENALTIES) + 1)


def test_models_that_share_nothing_earn_no_certificate(tmp_path: Path) -> None:
    source = embedding_pack(tmp_path / "a", "model-a", seed=1)
    target = embedding_pack(tmp_path / "b", "model-b", seed=2, noise=1e4, dimension=FACTORS)
    best, _ = fit_vectors(source, target)
    quality = judge(best.fitted.arrays(), source, target, corpus_documents=70)
    assert any("random W" in reason or "guessing" in reason for reason in refusals(quality))


def test_a_gain_leaves_the_shared_variance_as_it_is(packs) -> None:
    best, _ = fit_vectors(*packs)
    arrays = best.fitted.arrays()
    louder = arrays | {"decoder": arrays["decoder"] * np.float16(2)}
    figures = [judge(each, *packs, corpus_documents=70).information_retention for each in (arrays, louder)]
    assert figures[0] == pytest.approx(figures[1], rel=1e-3)


def test_the_smallest_gain_that_serves_as_well_is_taken(packs) -> None:
    best, trials = fit_vectors(*packs)
    top = max(trial.reciprocal_rank for trial in trials)
    assert best.gain == min(trial.gain for trial in trials if trial.reciprocal_rank >= top - 0.01)


def test_passages_are_paired_by_their_place_in_the_document(packs, tmp_path: Path) -> None:
    source, target = packs
    path = tmp_path / "less"
    arrays = {name: target.file.read(name) for name in target.file.tensors}
    keep = np.arange(len(arrays["rows"])) % PASSAGES != 1  # every document loses its second passage
    shorter = {"rows": arrays["rows"][keep], "spans": arrays["spans"][keep], "starts": arrays["starts"] * 3 // 4}
    with path.open("wb") as file:
        tensors.write(file, shorter, target.file.document)
    pairs = same_passages(source, open_pack(path), Split.CALIBRATION)
    assert len(pairs.source) == len(pairs.target) == 40 * 3
    np.testing.assert_array_equal(pairs.source[:3], source.rows(0)[[0, 2, 3]])
    np.testing.assert_array_equal(pairs.target[:3], target.rows(0)[[0, 2, 3]])
    assert np.bincount(pairs.documents).tolist() == [3] * 40


def test_packs_of_different_corpora_are_not_paired(packs, tmp_path: Path) -> None:
    other = embedding_pack(tmp_path / "c", "model-c", corpus_digest="sha256:" + "d" * 64)
    with pytest.raises(InvalidInput, match="was captured on"):
        same_passages(packs[0], other, Split.CALIBRATION)


def test_packs_that_share_no_passages_are_not_paired(packs, tmp_path: Path) -> None:
    strangers = tuple(f"{number:064x}" for number in range(1000, 1070))
    other = embedding_pack(tmp_path / "c", "model-c", documents=strangers)
    with pytest.raises(InvalidInput, match="share 0 calibration passages; 64 are the least"):
        same_passages(packs[0], other, Split.CALIBRATION)


def test_the_map_takes_vectors_of_one_width_only(packs) -> None:
    best, _ = fit_vectors(*packs)
    with pytest.raises(DimensionMismatch):
        open_map(best.fitted.arrays()).apply(np.zeros((1, 15), "f4"))
