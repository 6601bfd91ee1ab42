"""The mark of a delivery: which sale a file was delivered for, signed, in the document of the file itself.

Whoever rewrites the file can leave it out, and then nothing of it is left: a mark tells an honest finder where a file
came from, and proves nothing by its absence.
"""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from latentmas.protocol import tensors
from latentmas.protocol.tensors import TensorFile

MARK = "delivery"  # the key in the document
PREDICATE_TYPE = "https://latentmas.org/delivery/v1"
MAX_BYTES = 64 << 30


def marked(data: bytes, mark: Mapping[str, Any]) -> bytes:
    """Return a file of this project's with a mark in its document, in place of any other; its tensors stay.

    Raises InvalidInput for any other file.
    """
    opened = tensors.parse_tensors(data, max_bytes=len(data))
    file = BytesIO()
    arrays = {name: opened.read(name) for name in opened.tensors}
    tensors.write(file, arrays, {**opened.document, MARK: dict(mark)})
    return file.getvalue()


def mark_in(file: Path | bytes | TensorFile) -> Mapping[str, Any] | None:
    """Return the mark of a file, a DSSE envelope whose signature nobody has checked yet; None where it has none."""
    found = tensors.open_tensors(file, max_bytes=MAX_BYTES).document.get(MARK)
    return found if isinstance(found, dict) else None
