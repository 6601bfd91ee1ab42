"""A message broker without a server: files in a folder that the processes of one machine share.

Kombu's filesystem transport, but a message appears whole: kombu writes in place, and a worker that reads half a message
ends.
"""

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

SCHEME = "files"


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]
        # Names sort by time; the transport reads the part behind the first dot as the queue.
        name = f"{time.time_ns()}-{uuid4()}"
        partial = Path(self.data_folder_out) / f"{name}.partial"
        try:
            partial.write_text(dumps(payload))
            partial.rename(partial.with_name(f"{name}.{queue}.msg"))
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise ChannelError(f"the message could not be written: {error}") from error


class Transport(filesystem.Transport):
    Channel = Channel


def register() -> None:
    """Let broker addresses that begin with `files:` mean this transport."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
