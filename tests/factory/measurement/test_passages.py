import numpy as np
import pytest

from factory.measurement.passages import CONTINUATION_TOKENS, Passage, passages_for, require_enough
from latentmas.protocol.errors import InvalidInput

SCORED = CONTINUATION_TOKENS - 1  # the first token of a continuation is not scored


def passage() -> Passage:
    rows = np.zeros((3, 4))
    return Passage("0" * 16, (1, 2), tuple(range(CONTINUATION_TOKENS)), np.zeros((2, 4)), rows, rows[1:, :2])


@pytest.mark.parametrize(("tokens", "passages"), [(1, 1), (SCORED, 1), (SCORED + 1, 2), (1000, 16)])
def test_it_reads_as_many_passages_as_the_scored_tokens_need(tokens: int, passages: int) -> None:
    assert passages_for(tokens) == passages


def test_a_corpus_with_fewer_scored_tokens_than_asked_for_is_refused() -> None:
    two = [passage(), passage()]
    require_enough(two, scored_tokens=2 * SCORED)
    with pytest.raises(InvalidInput, match=f"give {2 * SCORED} scored tokens in 2 passages, not 1000"):
        require_enough(two, scored_tokens=1000)
