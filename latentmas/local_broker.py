"""A message broker without a server: files in a folder that the processes of one machine share.

Kombu's filesystem transport, but a message appears whole: kombu writes in place, and a worker that reads half a message
ends.
"""

import logging
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

SCHEME = "files"

logger = logging.getLogger(__name__)


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

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Return the oldest message of a queue. Raises Empty. What a power failure left of one is thrown away."""
        while True:
            try:
                message = super()._get(queue)
            except ValueError:  # not JSON
                message = None
            if isinstance(message, dict) and "properties" in message:
                return message
            logger.warning("a file in the queue %s was no message; it is thrown away", queue)


class Transport(filesystem.Transport):
    Channel = Channel


def register() -> None:
    """Let broker addresses that begin with `files:` mean this transport."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
