"""How a file is named: `sha256:<hex>` to the product, `ab/abcd...` in a folder or bucket."""

import hashlib
import re
from pathlib import Path

from latentmas.protocol.errors import InvalidInput

DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
NAME = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})", re.ASCII)


def name_of(digest: str) -> str:
    """Return the name under which a file is stored. Raises InvalidInput for text that is no digest."""
    match = DIGEST.fullmatch(digest)
    if match is None:
        raise InvalidInput(f"{digest!r} is not a digest; write sha256: and 64 hex digits", field="digest")
    return f"{match[1][:2]}/{match[1]}"


def digest_of(path: Path) -> str:
    """Return `sha256:<hex>` of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
