"""Batches of stretches of text, each read by both models: a context of so many target tokens and what follows it."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from factory import recall
from kvcache.exchange.placement import causal_pairs
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

MOST_CHARACTERS = 6  # of a token, on average over a stretch: enough for all but a few stretches
RECALL = "recall"  # the register whose texts have statements put between their sentences, which are asked for behind
QUESTION = 12  # tokens that an answered question takes at least
READ_IN = 1 / 2  # of the texts, in which the target knows some stretches of the context as it would itself
READ, STRETCH = (1 / 8, 1 / 4), 16  # of the context's tokens, at most; tokens of a stretch, about a sentence
TRIALS = 1_000  # that may fail in a row before there is no text to learn from


@dataclass(frozen=True, slots=True)
class Length:
    """Stretches of one length: tokens of the context and of what follows, and how many make a batch."""

    context: int
    following: int
    texts: int


@dataclass(frozen=True, slots=True)
class Batch:
    """`source` `[texts, n]` are the source's tokens with BOS, padded on the right; `target` `[texts, 1 + context + f]`.

    `pairs` `[texts, context]` are the places in `source` of the target tokens' causal partners. `read`, of the same
    shape, is true for the tokens that a receiver who knows the text reads in place.
    """

    source: Array
    target: Array
    pairs: Array
    read: Array
    context: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a text, and the statements in it that are asked for behind it."""

    text: str
    stated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A stretch as both models read it, without BOS.

    `pairs` `[context]` are places in `source`; `stated` are ranges of target tokens, those of each statement.
    """

    source: list[int]
    target: list[int]
    pairs: Array
    stated: list[range]


@dataclass(frozen=True, slots=True)
class Reader:
    """A model's fast tokenizer, and the BOS that it is given."""

    tokenizer: Any
    bos: int

    def read(self, texts: Sequence[str]) -> list[tuple[list[int], Array]]:
        """Return each text's ids without BOS, and the span `[start, end)` of each."""
        found = self.tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
        return [
            (ids, np.array(spans).reshape(-1, 2))
            for ids, spans in zip(found["input_ids"], found["offset_mapping"], strict=True)
        ]


def batches(
    texts: Mapping[str, Sequence[str]],
    *,
    shares: Mapping[str, float],
    lengths: Mapping[Length, float],
    source: Reader,
    target: Reader,
    seed: int,
) -> Iterator[Batch]:
    """Yield batches without end: registers drawn by their shares, texts and beginnings evenly, lengths by weight.

    Raises InvalidInput where the texts are too short for a length.
    """
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    names = [name for name in texts if texts[name]]
    weights = [shares[name] for name in names]
    while True:
        length = generator.choices(list(lengths), list(lengths.values()))[0]
        rows: list[Reading] = []
        for _ in range(TRIALS):
            drawn = generator.choices(names, weights, k=length.texts)
            parts = [_part(generator.choice(texts[name]), length, generator) for name in drawn]
            stretches = [
                _for_recall(part, length, generator, target=target) if name == RECALL else Stretch(part)
                for name, part in zip(drawn, parts, strict=True)
            ]
            rows += _readings(stretches, length, source=source, target=target)
            if len(rows) >= length.texts:
                break
        else:
            raise InvalidInput(f"no text is long enough for {length.context} tokens", resolution="Use longer texts.")
        rows = rows[: length.texts]
        read = np.stack([_read_in_place(length.context, row.stated, generator) for row in rows])
        yield _batch(rows, read, source=source, target=target)


def _part(text: str, length: Length, generator: random.Random) -> str:
    """Return a part of a text that begins at the text or behind a blank."""
    characters = MOST_CHARACTERS * (length.context + length.following)
    start = generator.randrange(max(1, len(text) - characters // 2))
    blank = text.find(" ", start)
    begin = 0 if start == 0 or blank < 0 else blank + 1
    return text[begin : begin + characters]


def _for_recall(text: str, length: Length, generator: random.Random, *, target: Reader) -> Stretch:
    """Return so much of the text, with statements in it, as makes about a context, and what asks for them."""
    said = recall.statements(1 + length.following // QUESTION, generator)
    stated = tuple(statement for statement, _ in said)
    ((_, spans), (ids, _)) = target.read([text, " ".join(stated)])
    kept = length.context - len(ids)
    if not 0 < kept <= len(spans):
        return Stretch(text)
    return Stretch(recall.between(text[: spans[kept - 1, 1]], said, generator) + recall.asked(said, generator), stated)


def _readings(stretches: Sequence[Stretch], length: Length, *, source: Reader, target: Reader) -> list[Reading]:
    """Return source ids, target ids and pairs of the stretches that are long enough."""
    wanted = length.context + length.following
    read = zip(stretches, target.read([each.text for each in stretches]), strict=True)
    theirs = [(stretch, ids, spans) for stretch, (ids, spans) in read if len(ids) >= wanted]
    ours = source.read([each.text[: spans[length.context - 1, 1]] for each, _, spans in theirs]) if theirs else []
    return [
        Reading(
            mine,
            ids[:wanted],
            causal_pairs(own_spans, spans[: length.context]),
            [_tokens_of(statement, stretch.text, spans[: length.context]) for statement in stretch.stated],
        )
        for (stretch, ids, spans), (mine, own_spans) in zip(theirs, ours, strict=True)
    ]


def _tokens_of(statement: str, text: str, spans: Array) -> range:
    """Return which of the tokens with these spans stand for the statement; none where it comes behind them."""
    begin = text.index(statement)
    inside = np.flatnonzero((spans[:, 1] > begin) & (spans[:, 0] < begin + len(statement)))
    return range(int(inside[0]), int(inside[-1]) + 1) if len(inside) else range(0)


def _read_in_place(context: int, stated: Sequence[range], generator: random.Random) -> Array:
    """Return `[context]`, true for the tokens of a few stretches, or for none.

    They are statements, as many as are asked for and may be read. Where a text has none, one is the end and the others
    are anywhere, half of what may be read each.
    """
    read = np.zeros(context, bool)
    if generator.random() < READ_IN:
        left = max(STRETCH, round(generator.choice(READ) * context))
        stretches = generator.sample(stated, len(stated)) or [range(context - left // 2, context)]
        if not stated:
            begins = (generator.randrange(context) for _ in range(left // 2 // STRETCH))
            stretches += [range(begin, min(begin + STRETCH, context)) for begin in begins]
        for each in stretches:
            if left < len(each):
                break
            read[each.start : each.stop] = True
            left -= len(each)
    return read


def _batch(rows: Sequence[Reading], read: Array, *, source: Reader, target: Reader) -> Batch:
    longest = max(len(row.source) for row in rows)
    padded = np.full((len(rows), 1 + longest), source.bos, np.int64)
    for number, row in enumerate(rows):
        padded[number, 1 : 1 + len(row.source)] = row.source
    own = np.array([[target.bos, *row.target] for row in rows], np.int64)
    pairs = np.stack([row.pairs for row in rows]).astype(np.int64)
    return Batch(padded, own, pairs, read, context=read.shape[1])
