"""Text that comes with the product as compressed data: presidents' speeches, and text that the models sampled."""

import functools as ft
import hashlib
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from factory.corpora.documents import Origin
from latentmas.protocol.errors import InvalidInput, StorageUnavailable

DATA = Path(__file__).parents[1] / "data"
SPEECHES_FILE = "speeches.json.xz"
SPEECHES_SHA256 = "21b04892c3da7996848a0bcc00183c51e42b99f5965ebd99cb4c72e7c5bd5d66"
SAMPLED_FILE = "sampled.json.xz"
SAMPLED_SHA256 = "a94db2338d7cbbd2006e1e7cc9be57a697d87823de76066a2be8875c359b940e"


def speeches() -> Iterator[Origin]:
    """Yield presidents' inaugural and State of the Union addresses: the first pages of each."""
    for each in _records(DATA / SPEECHES_FILE, SPEECHES_SHA256):
        yield Origin(f"{each['name']}, {each['year']}", each["text"])


def sampled() -> Iterator[Origin]:
    """Yield the texts that the packaged models sampled from nothing (`benchmarks.suite_texts.sampled`)."""
    for each in _records(DATA / SAMPLED_FILE, SAMPLED_SHA256):
        yield Origin(f"{each['model']}, seed {each['seed']}", each["text"])


@ft.cache
def _records(path: Path, sha256: str) -> tuple[dict[str, Any], ...]:
    if not path.is_file():
        raise StorageUnavailable(f"the data file {path.name} is missing from this installation")
    data = path.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise InvalidInput(
            f"the data file {path.name} has the SHA-256 {found}, not {sha256}: figures would not compare"
        )
    return tuple(json.loads(lzma.decompress(data)))
