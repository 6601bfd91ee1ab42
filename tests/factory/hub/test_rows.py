"""Rows that belong together in several packs."""

from pathlib import Path

import numpy as np
import pytest

from factory.corpora import Split
from factory.hub.rows import corresponding_rows
from factory.packs.pack import OpenedPack, open_pack
from factory.packs.pairs import CHUNK_ROWS, paired_rows
from latentmas.protocol.errors import InvalidInput
from tests.factory.embedding_packs import embedding_pack
from tests.factory.synthetic import Synthetic


@pytest.fixture
def caches(tmp_path: Path) -> list[OpenedPack]:
    """Packs of three models whose tokens have different lengths."""
    made = [Synthetic(f"model-{number}", characters=length, seed=number) for number, length in enumerate((6, 4, 9))]
    return [open_pack(each.write(tmp_path / f"{each.model}.safetensors")) for each in made]


def test_every_token_of_the_first_cache_has_its_causal_partner_in_the_others(caches: list[OpenedPack]) -> None:
    chunks = list(corresponding_rows(caches, Split.CALIBRATION))
    assert {len(side) for chunk in chunks[:-1] for side in chunk} <= {CHUNK_ROWS}
    first, second, third = (np.concatenate(side) for side in zip(*chunks, strict=True))
    tokens = sum(len(caches[0].spans_of(index)) for index in caches[0].indices(Split.CALIBRATION).values())
    assert len(first) == len(second) == len(third) == tokens
    for other, rows in ((caches[1], second), (caches[2], third)):
        pairs = list(paired_rows(other, caches[0], Split.CALIBRATION))
        theirs, reference = (np.concatenate(side) for side in zip(*pairs, strict=True))
        np.testing.assert_array_equal(first[: len(reference)], reference)
        np.testing.assert_array_equal(rows[: len(theirs)], theirs)


def test_embeddings_are_paired_by_passage(tmp_path: Path) -> None:
    packs = [
        embedding_pack(tmp_path / f"{width}.safetensors", f"model-{width}", dimension=width) for width in (16, 12, 8)
    ]
    (chunk,) = corresponding_rows(packs, Split.HELD_OUT)
    for pack, rows in zip(packs, chunk, strict=True):
        own = np.concatenate([pack.rows(index) for index in pack.indices(Split.HELD_OUT).values()])
        np.testing.assert_array_equal(rows, own)


def test_it_refuses_to_mix_caches_and_embeddings(caches: list[OpenedPack], tmp_path: Path) -> None:
    vectors = embedding_pack(tmp_path / "vectors.safetensors", "vectors")
    with pytest.raises(InvalidInput, match="one space and one corpus"):
        next(corresponding_rows([caches[0], vectors], Split.CALIBRATION))
