import pytest

from factory.measurement.passages import CONTINUATION_TOKENS, require_enough
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import DocumentScore

SCORED = CONTINUATION_TOKENS - 1  # the first token of a continuation is not scored


def test_a_suite_with_fewer_scored_tokens_than_asked_for_is_refused() -> None:
    two = [DocumentScore(name * 16, SCORED, {}) for name in "ab"]
    require_enough(two, scored_tokens=2 * SCORED)
    with pytest.raises(InvalidInput, match=f"gives {2 * SCORED} scored tokens in 2 passages, not 1000"):
        require_enough(two, scored_tokens=1000)
