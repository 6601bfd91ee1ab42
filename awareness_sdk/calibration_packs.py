"""`client.calibration_packs`: upload, look up and list calibration packs, also of models with private weights."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from awareness_sdk.transport import Transport

BASE = "/api/calibration-packs"


class CalibrationPacksClient:
    """`client.calibration_packs`. Raises AwarenessError with the server's code, and the field where one is wrong."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, path: str | os.PathLike[str], *, new_corpus: bool = False) -> dict[str, Any]:
        """Send a pack, as `manage.py calibrate --output` writes it, and return what is on record about it.

        It is streamed from the disk, and the same file is recorded once. `new_corpus` declares that the server has not
        seen the corpus yet.
        """
        with Path(path).open("rb") as file:
            response = self._transport.send("POST", BASE, content=file, params={"new_corpus": new_corpus})
        return dict(response.json())

    def get(self, digest: str) -> dict[str, Any]:
        """Return what is on record about one pack. Raises NotFound."""
        return dict(self._transport.json("GET", f"{BASE}/{digest}"))

    def list(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield the packs by model, page after page. Filters are the server's: model, corpus_digest, space."""
        cursor = None
        while True:
            params = {**filters} | ({} if cursor is None else {"cursor": cursor})
            page = self._transport.json("GET", BASE, params=params)
            yield from page["results"]
            if (cursor := page["next_cursor"]) is None:
                return
