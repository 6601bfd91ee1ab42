"""Ask again and again for what takes a server a while."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from awareness_sdk.errors import AwarenessError


def asked_again(
    ask: Callable[[], dict[str, Any]], *, timeout: float | None, poll_seconds: float, late: str
) -> Iterator[dict[str, Any]]:
    """Yield one answer after another, `poll_seconds` apart, for as long as they are taken.

    Raises AwarenessError TIMEOUT, which says what is `late`, where the next would come after `timeout` seconds.
    """
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        yield ask()
        if time.monotonic() + poll_seconds > deadline:
            raise AwarenessError({"code": "TIMEOUT", "detail": f"{late} in {timeout} s"})
        time.sleep(poll_seconds)
