"""Which of the target's tokens the receiver reads itself, at their own places, beside the memory of all the others.

A memory that crosses between models keeps what a text is about, and often loses a name or a number that was said once.
A chooser gives every token a score; the tokens with the highest ones are read until the budget is spent. Each chooser
is a module of this package with a function `score`, listed in CHOOSERS.
"""

from kvcache.exchange.rereading import attention, last, meaning, mixed, rare, surprisal, words
from kvcache.exchange.rereading.context import Context, Score

CHOOSERS: dict[str, Score] = {
    "last": last.score,
    "rare": rare.score,
    "mixed": mixed.score,
    "surprisal": surprisal.score,
    "words": words.score,
    "meaning": meaning.score,
    "attention": attention.score,
}

__all__ = ["CHOOSERS", "Context", "Score"]
