"""The target's tokens as a file, and what of them is left at an earlier point of the context."""

import numpy as np
import pytest

from kvcache.exchange.placement import TargetTokens
from kvcache.exchange.target_file import DOCUMENT, arrays_of, ended_by, write_target_tokens
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import parse_tensors

# "Hello wörld": the source has BOS and five tokens, two of which are bytes of one character.
SOURCE = [(0, 5), (5, 7), (7, 8), (7, 8), (8, 11)]
TOKENS = TargetTokens(
    np.array([(0, 0), (0, 3), (3, 7), (7, 8), (8, 11)]),
    ids=np.array([2, 10, 11, 12, 13]),
    source_spans=np.array(SOURCE),
    first_layer=np.arange(10, dtype="f2").reshape(5, 2),
    states=np.zeros((5, 3)),
)


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        (1, 1),  # BOS alone
        (2, 2),  # "Hello": the token "lo w" has not ended
        (3, 3),
        (4, 3),  # half of the character
        (5, 4),
        (6, 5),
    ],
)
def test_a_crop_keeps_what_the_source_had_read_to_its_end(end: int, kept: int) -> None:
    found = ended_by(TOKENS, end, next_position=6)
    np.testing.assert_array_equal(found.spans, np.asarray(TOKENS.spans)[:kept])
    assert (len(found.ids), len(found.first_layer), len(found.source_spans)) == (kept, kept, end - 1)


def test_a_context_without_bos_is_cropped_at_the_same_text() -> None:
    assert len(ended_by(TOKENS, 1, next_position=5).spans) == 2


def test_a_place_behind_the_context_is_none() -> None:
    with pytest.raises(InvalidInput, match="no place"):
        ended_by(TOKENS, 7, next_position=6)


def test_a_file_holds_all_but_what_is_the_receivers_alone() -> None:
    file = parse_tensors(write_target_tokens(arrays_of(TOKENS)), max_bytes=10_000)
    assert file.document == DOCUMENT
    assert set(file.tensors) == {"target_spans", "target_ids", "source_spans", "target_first_layer"}
    assert {name: info.dtype.str for name, info in file.tensors.items()}["target_first_layer"] == "<f2"
    np.testing.assert_array_equal(file.read("target_ids"), TOKENS.ids)
