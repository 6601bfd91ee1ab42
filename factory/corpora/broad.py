"""The corpus `broad`: text of all registers, and text that the models sampled, in fixed shares and mixed lengths.

Its documents are pieces of the registers' documents, in the group of the document that they are cut from. They come in
an order whose every beginning has the registers in their shares, so that a budget of tokens is spent in these shares.
What the evaluation suite measures on never enters.
"""

import functools as ft
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence

from factory.corpora.documents import Document, Split, TextCorpus, corpus_digest, digest_of, part_of
from factory.corpora.registers import REGISTERS, documents_of
from factory.corpora.suite import groups_in_use
from latentmas.protocol.errors import InvalidInput

BROAD = "broad"
WITHOUT = f"{BROAD}-without-"
SHARES = {  # of the tokens
    "news": 1.0,
    "encyclopaedia": 1.0,
    "speeches": 1.0,
    "code": 1.0,
    "reference": 1.0,
    "headers": 1.0,
    "readmes": 1.0,
    "sampled": 6.0,
}
LENGTHS = ((256, 12), (1024, 2), (2048, 2))  # tokens of a piece, and how many of 16 pieces have so many
TOKENS = {Split.CALIBRATION: 400_000, Split.SELECTION: 60_000, Split.HELD_OUT: 60_000}  # about
LONGEST = 10_240  # characters of a piece: 2 048 tokens of the register with the longest
SHORTEST = 300  # characters: what is left of a document is left out below
BOUNDARY = 0.2  # of a piece: a line break or blank that ends it is looked for in its last part


def load_broad(name: str) -> TextCorpus:
    """Return `broad`, or `broad-without-` a register. InvalidInput for another name, or where text is missing."""
    left_out = name.removeprefix(WITHOUT) if name != BROAD else None
    if left_out is not None and left_out not in SHARES:
        raise InvalidInput(
            f"there is no corpus {name!r}",
            resolution=f"Name {BROAD}, or {WITHOUT} and one of {', '.join(SHARES)}.",
            field="corpus",
        )
    return _mixed(name, left_out)


def is_broad(name: str) -> bool:
    """Return whether a corpus' name is for `load_broad`."""
    return name == BROAD or name.startswith(WITHOUT)


@ft.cache
def _mixed(name: str, left_out: str | None) -> TextCorpus:
    names = [each for each in SHARES if each != left_out]
    documents = tuple(
        document
        for split, tokens in TOKENS.items()
        for document in _in_shares({each: _pieces_of(each, split) for each in names}, tokens=tokens)
    )
    return TextCorpus(name, corpus_digest(documents), documents, cut=LONGEST)


def registers_of_pieces() -> dict[str, str]:
    """Return the register of every calibration piece, by the piece's digest."""
    return {piece.digest: name for name in SHARES for piece in _pieces_of(name, Split.CALIBRATION)}


def _in_shares(pieces: Mapping[str, Sequence[Document]], *, tokens: float) -> Iterator[Document]:
    """Yield distinct pieces, each of the register that is furthest behind its share, until there are enough tokens."""
    used = dict.fromkeys(pieces, 0.0)
    waiting = {name: iter(documents) for name, documents in pieces.items()}
    seen: set[str] = set()
    while waiting and sum(used.values()) < tokens:
        name = min(waiting, key=lambda each: used[each] / SHARES[each])
        document = next(waiting[name], None)
        if document is None:
            del waiting[name]
        elif document.digest not in seen:
            seen.add(document.digest)
            used[name] += len(document.text) / REGISTERS[name].density
            yield document


@ft.cache
def _pieces_of(register: str, split: Split) -> tuple[Document, ...]:
    """Return a register's pieces: one of each document, then a second one of each, and so on."""
    documents = _usable(register, split)
    density = REGISTERS[register].density
    if register == "news":
        return tuple(joined(documents, density))
    rounds = itertools.zip_longest(*(pieces(each, density) for each in documents))
    return tuple(piece for each in rounds for piece in each if piece is not None)


def whole_texts() -> dict[str, list[Document]]:
    """Return the calibration documents of every register as they are, in one part each; news items also joined."""
    found = {name: _usable(name, Split.CALIBRATION) for name in SHARES}
    return found | {"news": [*_pieces_of("news", Split.CALIBRATION), *found["news"]]}


def _usable(register: str, split: Split) -> list[Document]:
    """Return one document of every group of which the evaluation suite measures none, in the order of digests."""
    in_use = groups_in_use()
    usable = [each for each in part_of(documents_of(register), split) if each.group not in in_use]
    return sorted({each.group: each for each in reversed(usable)}.values(), key=lambda each: each.digest)


def pieces(document: Document, density: float) -> list[Document]:
    """Return a document cut into pieces, in the order of their digests; `density` is in characters a token."""
    found: list[Document] = []
    start, text = 0, document.text
    while start < len(text):
        end = _end_of_piece(text, start, _characters(document.digest, len(found), density))
        if len(piece := text[start:end].strip()) >= SHORTEST:
            found.append(Document(piece, digest_of(piece), document.group))
        start = end
    return sorted(found, key=lambda piece: piece.digest)


def joined(items: Sequence[Document], density: float) -> Iterator[Document]:
    """Yield short documents of one split, as they are or several in one where a longer piece is due."""
    waiting = list(reversed(items))
    while waiting:
        parts = [waiting.pop()]
        wanted = _characters(parts[0].digest, 0, density)
        while waiting and wanted > LENGTHS[0][0] * density and sum(len(part.text) for part in parts) < wanted:
            parts.append(waiting.pop())
        text = "\n\n".join(part.text for part in parts)
        text = text[: _end_of_piece(text, 0, LONGEST)].strip()
        yield Document(text, digest_of(text), min(part.group for part in parts))


def _characters(digest: str, number: int, density: float) -> int:
    """Return how long a document's piece of that number is: a hash draws the length."""
    drawn = hashlib.sha256(f"{digest}:{number}".encode()).digest()[0] % sum(weight for _, weight in LENGTHS)
    bounds = itertools.accumulate(weight for _, weight in LENGTHS)
    tokens = next(tokens for (tokens, _), bound in zip(LENGTHS, bounds, strict=True) if drawn < bound)
    return min(LONGEST, int(tokens * density))


def _end_of_piece(text: str, start: int, characters: int) -> int:
    end = start + characters
    if end >= len(text):
        return len(text)
    earliest = end - int(BOUNDARY * characters)
    found = (text.rfind(mark, earliest, end) for mark in ("\n\n", "\n", " "))
    return next((place for place in found if place > start), end)
