"""Facts that nobody can know, stated in ordinary text and asked for afterwards, scored by the target's likelihood.

Every context is text of held-out documents with four invented facts between its sentences, each about another person
("The favourite colour of Rosa Tillman is orange."). The question is the fact without its answer; it counts as answered
where the true answer is likelier than every alternative of its kind. In every other context the four facts are of four
kinds, so that any answer of the kind will do; in the others they are paired, two persons a kind, and the other person's
answer is among the alternatives: the memory must say whose it is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from factory.corpora import Document
from factory.runners.model import RunningModel

SEED = 20260801
FACTS = 4  # in one context, each of another kind
ALTERNATIVES = 6  # the true answer among them
WORDS = (100, 150)  # of ordinary text in a context: 150 to 250 tokens with the facts
SENTENCE = re.compile(r"(?<=[a-z0-9\")]\.)\s+(?=[A-Z])")
LEAST_WORDS, MOST_WORDS = 6, 40  # of a sentence of ordinary text

FIRST = ("Rosa", "Martin", "Clara", "Victor", "Nina", "Oscar", "Helen", "Simon", "Irene", "Walter", "Paula", "Henry")
LAST = ("Tillman", "Brandt", "Holloway", "Castell", "Merrow", "Lindgren", "Pascoe", "Varga", "Winslow", "Okafor")
# Kind: what is said of a person, and what the answer may be.
KINDS = {
    "The favourite colour of {person} is": ("red", "blue", "green", "yellow", "orange", "purple", "black", "white"),
    "{person} lives in the city of": ("Paris", "London", "Berlin", "Rome", "Madrid", "Vienna", "Moscow", "Tokyo"),
    "The pet of {person} is a": ("dog", "cat", "horse", "rabbit", "parrot", "snake", "goat", "monkey"),
    "{person} works as a": ("teacher", "doctor", "lawyer", "farmer", "painter", "pilot", "baker", "soldier"),
    "The instrument that {person} plays is the": (
        *("piano", "violin", "guitar", "flute", "trumpet", "drums", "harp", "cello"),
    ),
    "The birthday of {person} is in": ("January", "March", "April", "June", "July", "August", "October", "December"),
    "The number of the house of {person} is": ("12", "25", "37", "48", "54", "63", "76", "89"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """`question` ends where the answer begins; the first of the alternatives is the true one.

    It is stated in the question's own words, unless `worded` says otherwise.
    """

    question: str
    alternatives: tuple[str, ...]
    kind: str = ""
    person: str = ""
    worded: str | None = None

    @property
    def answer(self) -> str:
        return self.alternatives[0]

    @property
    def statement(self) -> str:
        return f"{self.question} {self.answer}." if self.worded is None else self.worded


@dataclass(frozen=True, slots=True)
class Probe:
    """A context and what is asked about it."""

    text: str
    facts: tuple[Fact, ...]
    paired: bool


def probes(
    documents: Sequence[Document], *, wanted: int, seed: int = SEED, word: Callable[[Fact], Fact] | None = None
) -> list[Probe]:
    """Return so many probes, each on ordinary text of its own; `word` says a fact in other words than the question.

    Raises ValueError where the documents are too few.
    """
    random = np.random.default_rng(seed)
    passages = enumerate(_passages(documents, wanted))
    made = [_probe(sentences, random, paired=bool(number % 2), word=word) for number, sentences in passages]
    if len(made) < wanted:
        raise ValueError(f"the documents give {len(made)} contexts, not {wanted}")
    return made


def _passages(documents: Sequence[Document], wanted: int) -> Iterator[list[str]]:
    """Yield sentences of ordinary text, one document after the other, then further passages of each."""
    least, most = WORDS
    queues = [_runs(document.text, least, most) for document in documents]
    count = 0
    while queues and count < wanted:
        for queue in list(queues):
            if (run := next(queue, None)) is None:
                queues.remove(queue)
            elif count < wanted:
                count += 1
                yield run


def _runs(text: str, least: int, most: int) -> Iterator[list[str]]:
    """Yield runs of whole sentences that follow each other, of `least` to `most` words."""
    run: list[str] = []
    size = 0
    for paragraph in text.splitlines():
        for sentence in SENTENCE.split(paragraph.strip()):
            words = len(sentence.split())
            if not LEAST_WORDS <= words <= MOST_WORDS or not sentence.endswith("."):
                continue
            run.append(sentence)
            size += words
            if least <= size <= most and len(run) > FACTS:
                yield run
            if size >= least:
                run, size = [], 0


def _probe(
    sentences: list[str], random: np.random.Generator, *, paired: bool, word: Callable[[Fact], Fact] | None
) -> Probe:
    facts = _facts(random, paired=paired)
    facts = facts if word is None else tuple(map(word, facts))
    # Never behind the last sentence: the answer must not be the last thing that was read.
    places = np.sort(random.choice(len(sentences) - 1, len(facts), replace=False))
    parts: list[str] = []
    for index, sentence in enumerate(sentences):
        parts.append(sentence)
        parts.extend(fact.statement for place, fact in zip(places, facts, strict=True) if place == index)
    return Probe(" ".join(parts), facts, paired)


def _facts(random: np.random.Generator, *, paired: bool) -> tuple[Fact, ...]:
    first, last = (random.choice(names, FACTS, replace=False) for names in (FIRST, LAST))
    people = [" ".join(name) for name in zip(first, last, strict=True)]
    kinds = [str(kind) for kind in random.choice(list(KINDS), FACTS // 2 if paired else FACTS, replace=False)]
    values = {kind: [str(each) for each in random.choice(KINDS[kind], ALTERNATIVES, replace=False)] for kind in kinds}
    facts = []
    for number, person in enumerate(people):
        kind = kinds[number % len(kinds)]
        first_of_kind, second, *others = values[kind]
        pair = (second, first_of_kind) if number >= len(kinds) else (first_of_kind, second)
        facts.append(Fact(kind.format(person=person), (*pair, *others), kind=kind, person=person))
    return tuple(facts)


def asked(model: RunningModel, fact: Fact) -> tuple[int, ...]:
    """Return the question's tokens, on a line of its own."""
    return model.encode(f"\n\n{fact.question}").ids


def answers(model: RunningModel, fact: Fact) -> list[tuple[int, ...]]:
    """Return the tokens of every alternative, the true one first."""
    return [model.encode(f" {alternative}").ids for alternative in fact.alternatives]
