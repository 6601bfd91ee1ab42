"""The facts of `benchmarks.exchange` in other words than their questions: names shortened, pronouns, two sentences."""

import zlib
from dataclasses import replace

from benchmarks.exchange.questions import Fact

HERS = ("Rosa", "Clara", "Nina", "Helen", "Irene", "Paula")  # of the first names; the others are his
# Kind: the fact in one sentence, in two, and the question with a short name.
WORDINGS = {
    "The favourite colour of {person} is": (
        "{person} has always liked {answer} more than anything else one can paint with.",
        "{person} had the fence painted last summer. It had to be {answer}, which {they} loves best of all.",
        "The favourite colour of {short} is",
    ),
    "{person} lives in the city of": (
        "For ten years {person} has had a small flat in {answer}.",
        "{person} comes to the village every August. The rest of the year {they} spends at home in {answer}.",
        "The home of {short} is in the city of",
    ),
    "The pet of {person} is a": (
        "A {answer} shares the house with {person} and is fed twice a day.",
        "{person} is never alone for long. Wherever {they} goes, a {answer} follows.",
        "The animal that {short} keeps is a",
    ),
    "{person} works as a": (
        "Years ago {person} became a {answer} and has never wished for other work.",
        "{person} gets up at five every morning. As a {answer}, {they} has no choice.",
        "The profession of {short} is that of a",
    ),
    "The instrument that {person} plays is the": (
        "In the evening the neighbours hear {person} practise the {answer}.",
        "{person} takes lessons once a week. After three years {they} plays the {answer} rather well.",
        "The musical instrument of {short} is the",
    ),
    "The birthday of {person} is in": (
        "Each year in {answer} the friends of {person} bring a cake with candles.",
        "{person} is older than one would think. In {answer} {they} celebrates another birthday.",
        "{short} was born in the month of",
    ),
    "The number of the house of {person} is": (
        "Letters to {person} have to be brought to number {answer}.",
        "{person} lives at the end of the lane. On the door {they} has painted a large {answer}.",
        "The house of {short} has the number",
    ),
}


def reworded(fact: Fact) -> Fact:
    """Return the fact in other words; a hash of its person decides on one sentence or two, and on the short name."""
    drawn = zlib.crc32(f"{fact.person} {fact.kind}".encode())
    once, twice, question = WORDINGS[fact.kind]
    first, last = fact.person.split()
    they = "she" if first in HERS else "he"
    worded = (twice if drawn & 1 else once).format(person=fact.person, answer=fact.answer, they=they)
    return replace(fact, question=question.format(short=last if drawn & 2 else first), worded=worded)
