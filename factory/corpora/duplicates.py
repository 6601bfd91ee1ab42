"""Near duplicates: documents that share much of their wording, found by MinHash over word 5-grams.

Signatures (Broder 1997) find the pairs that may share enough; of these the 5-grams themselves are compared. Documents
that are linked by such pairs form a group, named by the smallest digest among them. `data/groups.json` lists the groups
of the registers' documents, so that nothing is compared where a corpus is loaded.
"""

import functools as ft
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt32, UInt64

from latentmas.protocol.minhash import mixed, odd, signature

WORDS = re.compile(r"\w+")
GRAM = 5  # words
PERMUTATIONS = 128
SHARED_OF_BOTH = 0.25  # Jaccard: near duplicates share this much of the 5-grams of the two
SHARED_OF_SHORTER = 0.5  # containment: or this much of the shorter's
LEAST_MATCHES = 3  # of the permutations: from here on two documents are compared
GROUPS = Path(__file__).parents[1] / "data" / "groups.json"

Hashes = UInt64[np.ndarray, " grams"]
Signatures = UInt32[np.ndarray, "documents permutations"]
Indices = Int64[np.ndarray, " pairs"]


@ft.cache
def recorded_groups() -> Mapping[str, str]:
    """Return the group of each of the registers' documents that is not its own group, by digest."""
    groups: list[list[str]] = json.loads(GROUPS.read_text())
    return {digest: group[0] for group in groups for digest in group[1:]}


def near_duplicates(texts: Mapping[str, str]) -> list[list[str]]:
    """Return the groups of two or more documents, each in the order of digests; `texts` are by digest."""
    digests = sorted(texts)
    known: dict[str, int] = {}
    grams = [_grams(texts[digest], known) for digest in digests]
    parents = list(range(len(digests)))
    for one, other in _candidates(_signatures(grams)):
        if _near(grams[one], grams[other]):
            first, second = sorted((_root(parents, one), _root(parents, other)))
            parents[second] = first
    members: dict[int, list[str]] = {}
    for index, digest in enumerate(digests):
        members.setdefault(_root(parents, index), []).append(digest)
    return [group for group in members.values() if len(group) > 1]


def _grams(text: str, known: dict[str, int]) -> Hashes:
    """Return the distinct hashes of a text's word 5-grams; a shorter text is one gram. `known` keeps words' hashes."""
    found = WORDS.findall(text.lower()) or [""]
    known |= {word: zlib.crc32(word.encode()) for word in set(found) if word not in known}
    words = np.fromiter(map(known.__getitem__, found), dtype=np.uint64, count=len(found))
    words = np.resize(words, max(GRAM, len(words)))
    sums = np.zeros(len(words) - GRAM + 1, dtype=np.uint64)
    for place, factor in enumerate(odd(GRAM, seed=1)):
        sums += words[place : place + len(sums)] * factor
    return np.unique(mixed(sums))


def _signatures(grams: Sequence[Hashes]) -> Signatures:
    """Return the signature of each document's grams."""
    return np.array([signature(hashes, permutations=PERMUTATIONS) for hashes in grams])


def _candidates(signatures: Signatures) -> Iterator[tuple[int, int]]:
    """Yield the pairs that agree under enough permutations, as indices in rising order."""
    total = len(signatures)
    codes = [np.zeros(0, dtype=np.int64)]
    for column in signatures.T:
        codes += [one * total + other for one, other in _equal_pairs(column)]
    pairs, matches = np.unique(np.concatenate(codes), return_counts=True)
    for code in pairs[matches >= LEAST_MATCHES].tolist():
        yield divmod(code, total)


def _equal_pairs(column: UInt32[np.ndarray, " documents"]) -> Iterator[tuple[Indices, Indices]]:
    """Yield the pairs of equal entries: among the sorted ones neighbours, then those two apart, and so on."""
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    for distance in range(1, len(column)):
        same = ordered[distance:] == ordered[:-distance]
        if not same.any():
            return
        yield order[:-distance][same], order[distance:][same]


def _near(one: Hashes, other: Hashes) -> bool:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    shorter, together = min(len(one), len(other)), len(one) + len(other) - shared
    return shared >= SHARED_OF_SHORTER * shorter or shared >= SHARED_OF_BOTH * together


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index
