"""News digests: news items are short, so a long text of that register is several items, one after the other."""

import heapq
import re
from collections.abc import Sequence

from factory.corpora.documents import Document, digest_of

PIECES = re.compile(r"\d|[^\W\d]+|[^\w\s]")  # about a token each


def news_digests(items: Sequence[Document], *, count: int) -> tuple[Document, ...]:
    """Return `count` digests of about equal length that hold one item of each group, joined by blank lines.

    The longest item goes first, each to the digest that is shortest so far; words, digits and signs are counted. All
    items must be of one split, which is then the digests': a digest's group is the smallest of its items' groups.
    """
    one_of_group = {item.group: item for item in reversed(items)}.values()
    shortest = [(0, number) for number in range(count)]
    parts: list[list[Document]] = [[] for _ in range(count)]
    sizes = {item.digest: len(PIECES.findall(item.text)) for item in one_of_group}
    for item in sorted(one_of_group, key=lambda item: (-sizes[item.digest], item.digest)):
        size, number = shortest[0]
        parts[number].append(item)
        heapq.heapreplace(shortest, (size + sizes[item.digest], number))
    return tuple(sorted((_joined(part) for part in parts if part), key=lambda document: document.digest))


def _joined(items: Sequence[Document]) -> Document:
    text = "\n\n".join(item.text for item in sorted(items, key=lambda item: item.digest))
    return Document(text, digest_of(text), min(item.group for item in items))
