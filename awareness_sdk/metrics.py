"""Metrics under both names: `metrics["compression_ratio"]` and phase 1's `metrics["compressionRatio"]`."""

import json
import re
from typing import Any

RESULT_HEADER = "LatentMAS-Result"
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Phase 1's names that are not the camelCase of today's.
OLD_NAMES = {"ttft": "ttft_ms", "prefillTtft": "prefill_ttft_ms"}


class Metrics(dict[str, Any]):
    """The server's metrics; a camelCase key reads the snake_case one. Iterating gives the snake_case keys only.

    `compression_ratio` is the fraction saved, `ratio` bytes over bytes.
    """

    def __missing__(self, key: str) -> Any:
        if (name := _today(key)) != key and dict.__contains__(self, name):
            return self[name]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or (isinstance(key, str) and dict.__contains__(self, _today(key)))

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default


def result_of(header: str) -> dict[str, Any]:
    """Return the JSON result that comes in a header when the body is a file."""
    return with_metrics(json.loads(header))


def with_metrics(document: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose metrics can be read under both names."""
    if isinstance(document.get("metrics"), dict):
        document["metrics"] = Metrics(document["metrics"])
    return document


def _today(key: str) -> str:
    return OLD_NAMES.get(key) or HUMP.sub("_", key).lower()
