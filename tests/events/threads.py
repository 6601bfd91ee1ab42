"""Threads with their own database connections, whose failures reach the test."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

PATIENCE_SECONDS = 30  # how long a test waits for what must happen; never a delay


def in_threads(*works: Callable[[], object]) -> list[object]:
    """Run all at once and return their results; raises the first failure."""

    def run(work: Callable[[], object]) -> object:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(PATIENCE_SECONDS) for future in [pool.submit(run, work) for work in works]]
