"""Choose what the receiver reads itself, within a budget."""

from dataclasses import dataclass

import numpy as np

from kvcache.exchange.rereading import CHOOSERS
from kvcache.exchange.rereading.context import Context
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array


@dataclass(frozen=True, slots=True)
class Reading:
    """`positions` `[n]` of the tokens to read, ascending: those in the target's memory, where BOS stands at 0."""

    chooser: str
    positions: Array
    tokens: int  # of the whole context


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be read: a share of the context's tokens, or so many of them. Exactly one is given."""

    share: float | None = None
    tokens: int | None = None


def choose(context: Context, budget: Budget, *, chooser: str | None = None) -> Reading:
    """Return the tokens to read.

    Without a chooser: 'words' where there is a question, 'mixed' where the text is known, else 'last'. Raises
    InvalidInput for a budget that is none, an unknown chooser, and one that lacks what it looks at.
    """
    name = chooser or default_chooser(context)
    if name not in CHOOSERS:
        raise InvalidInput(f"there is no chooser {name!r}; there are {', '.join(CHOOSERS)}", field="chooser")
    wanted = _tokens(budget, context.tokens)
    scores = CHOOSERS[name](context)
    # Of tokens with the same score the later one is read: it weighs more in what comes next.
    order = np.lexsort((np.arange(context.tokens), scores))[::-1]
    return Reading(name, np.sort(order[:wanted]).astype(np.int32) + 1, context.tokens)


def default_chooser(context: Context) -> str:
    if context.question is not None:
        return "words"
    return "last" if context.text is None else "mixed"


def _tokens(budget: Budget, context: int) -> int:
    share, tokens = budget.share, budget.tokens
    if (share is None) == (tokens is None):
        raise InvalidInput("give the budget either as a share of the tokens or as their number", field="reread")
    if share is not None:
        if not 0 <= share <= 1:
            raise InvalidInput(f"reread is {share}; a share of the tokens lies from 0 to 1", field="reread")
        return round(share * context)
    assert tokens is not None
    if not 0 <= tokens <= context:
        raise InvalidInput(
            f"reread_tokens is {tokens}; the text has {context} tokens in the target's own", field="reread_tokens"
        )
    return tokens
