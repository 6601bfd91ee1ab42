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
READ_IN = 1 / 3  # of the texts, in which the target knows some stretches of the context as it would itself
READ, STRETCH = 1 / 8, 16  # of the context's tokens, at most; tokens of a stretch, about a sentence
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
        rows: list[tuple[list[int], list[int], Array]] = []
        for _ in range(TRIALS):
            drawn = generator.choices(names, weights, k=length.texts)
            stretches = [_stretch(generator.choice(texts[name]), length, generator) for name in drawn]
            stretches = [
                _for_recall(text, length, generator, target=target) if name == RECALL else text
                for name, text in zip(drawn, stretches, strict=True)
            ]
            rows += _readings(stretches, length, source=source, target=target)
            if len(rows) >= length.texts:
                break
        else:
            raise InvalidInput(f"no text is long enough for {length.context} tokens", resolution="Use longer texts.")
        read = np.stack([_read_in_place(length.context, generator) for _ in range(length.texts)])
        yield _batch(rows[: length.texts], read, source=source, target=target)


def _stretch(text: str, length: Length, generator: random.Random) -> str:
    """Return a part of a text that begins at the text or behind a blank."""
    characters = MOST_CHARACTERS * (length.context + length.following)
    start = generator.randrange(max(1, len(text) - characters // 2))
    blank = text.find(" ", start)
    begin = 0 if start == 0 or blank < 0 else blank + 1
    return text[begin : begin + characters]


def _for_recall(text: str, length: Length, generator: random.Random, *, target: Reader) -> str:
    """Return so much of the text, with statements in it, as makes about a context, and what asks for them."""
    said = recall.statements(1 + length.following // QUESTION, generator)
    ((_, spans), (stated, _)) = target.read([text, " ".join(statement for statement, _ in said)])
    kept = length.context - len(stated)
    if not 0 < kept <= len(spans):
        return text
    return recall.between(text[: spans[kept - 1, 1]], said, generator) + recall.asked(said, generator)


def _readings(
    stretches: Sequence[str], length: Length, *, source: Reader, target: Reader
) -> list[tuple[list[int], list[int], Array]]:
    """Return source ids, target ids and pairs of the stretches that are long enough."""
    wanted = length.context + length.following
    theirs = [(text, ids, spans) for text, (ids, spans) in zip(stretches, target.read(stretches), strict=True)]
    theirs = [each for each in theirs if len(each[1]) >= wanted]
    ours = source.read([text[: spans[length.context - 1, 1]] for text, _, spans in theirs]) if theirs else []
    return [
        (mine, ids[:wanted], causal_pairs(own_spans, spans[: length.context]))
        for (_, ids, spans), (mine, own_spans) in zip(theirs, ours, strict=True)
    ]


def _read_in_place(context: int, generator: random.Random) -> Array:
    """Return `[context]`, true for the tokens of a few stretches, or for none."""
    read = np.zeros(context, bool)
    if generator.random() < READ_IN:
        for _ in range(max(1, round(READ * context / STRETCH))):
            begin = generator.randrange(context)
            read[begin : begin + STRETCH] = True
    return read


def _batch(rows: Sequence[tuple[list[int], list[int], Array]], read: Array, *, source: Reader, target: Reader) -> Batch:
    longest = max(len(mine) for mine, _, _ in rows)
    padded = np.full((len(rows), 1 + longest), source.bos, np.int64)
    for number, (mine, _, _) in enumerate(rows):
        padded[number, 1 : 1 + len(mine)] = mine
    own = np.array([[target.bos, *ids] for _, ids, _ in rows], np.int64)
    pairs = np.stack([each for _, _, each in rows]).astype(np.int64)
    return Batch(padded, own, pairs, read, context=read.shape[1])
