"""What this server has compressed: totals counted by the database, medians over the newest runs, Prometheus counters.

Medians of times are over warm runs (those that compiled nothing) only. A run's basis says how its own figures were
measured; that the uploads of many callers were caches of the model they named is their word, so medians are `declared`.
The database sums, so that every worker process reports the same totals."""

import statistics as stats
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from kvcache.compression.metrics import MS_PER_SECOND
from kvcache.server.models import CompressionRun, Operation
from latentmas.protocol.quality import Basis

NEWEST = 1000  # runs that medians are taken over
KIND = ("operation", "model", "method", "basis")
SENDING = (Operation.COMPRESS, Operation.STREAM)  # the operations that save bandwidth; the others only measure
SIZES = {"ratio": "ratio", "cumulative_attention": "coverage"}
TIMES = {"compression_time_ms": "compression_ms", "decompression_time_ms": "decompression_ms"}
PREFIX = "latentmas_kv_cache"
LABELS = ("operation", "model", "method", "basis", "cold")
# Name, help text, column of the aggregate, and the divisor from the column's unit to the metric's.
COUNTERS = (
    ("runs", "Operations on KV-caches.", "runs", 1.0),
    ("duration_seconds", "Time of whole operations, compiling included.", "duration", MS_PER_SECOND),
    ("compile_seconds", "Time spent compiling kernels.", "compiling", MS_PER_SECOND),
    ("original_bytes", "Bytes of the caches at float16.", "original", 1.0),
    ("compressed_bytes", "Bytes of their files.", "compressed", 1.0),
    ("tokens", "Tokens of the caches.", "all_tokens", 1.0),
    ("kept_tokens", "Tokens that their files hold.", "kept", 1.0),
)


@dataclass(frozen=True, slots=True)
class Medians:
    """Medians over `runs`, times over the `warm_runs` among them; None where none of them measured the figure."""

    runs: int
    warm_runs: int
    figures: dict[str, float | None]


def totals() -> dict[str, int]:
    """Return how many runs there were and, of those that sent something, bytes and tokens before and after."""
    sent = Q(operation__in=SENDING)
    sums = CompressionRun.objects.aggregate(
        runs=Count("id"),
        cold_runs=Count("id", filter=Q(cold=True)),
        original_bytes=Sum("original_bytes", filter=sent),
        compressed_bytes=Sum("compressed_bytes", filter=sent),
        tokens=Sum("tokens", filter=sent),
        kept_tokens=Sum("tokens_kept", filter=sent),
    )
    found = {name: value or 0 for name, value in sums.items()}
    return found | {
        "bandwidth_savings_bytes": found["original_bytes"] - found["compressed_bytes"],
        "token_savings": found["tokens"] - found["kept_tokens"],
    }


def by_kind() -> list[dict[str, Any]]:
    """Return, for each operation, model, method and basis, the counts of all runs and the medians of the newest."""
    counted = (
        CompressionRun.objects.order_by(*KIND)
        .values(*KIND)
        .annotate(runs=Count("id"), cold_runs=Count("id", filter=Q(cold=True)))
    )
    newest: dict[tuple[Any, ...], list[CompressionRun]] = defaultdict(list)
    for run in newest_runs():
        newest[tuple(getattr(run, name) for name in KIND)].append(run)
    rows = []
    for row in counted:
        found = medians(newest[tuple(row[name] for name in KIND)])
        counts = {"runs": found.runs, "warm_runs": found.warm_runs}
        rows.append({**row, "medians": {"basis": Basis.DECLARED, **counts, **found.figures}})
    return rows


def newest_runs(**wanted: Any) -> QuerySet[CompressionRun]:
    """Return the NEWEST newest runs that match the filters."""
    return CompressionRun.objects.filter(**wanted).order_by("-created_at", "-id")[:NEWEST]


def medians(runs: Iterable[CompressionRun]) -> Medians:
    rows = list(runs)
    warm = [row for row in rows if not row.cold]
    sizes = {name: _median(getattr(row, column) for row in rows) for name, column in SIZES.items()}
    times = {name: _median(getattr(row, column) for row in warm) for name, column in TIMES.items()}
    return Medians(len(rows), len(warm), sizes | times)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return stats.median(known) if known else None


class RunCollector(Collector):
    """Prometheus counters over the recorded runs; the table is read at each scrape, not at registration."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        rows = _sums()
        for name, help_text, column, divisor in COUNTERS:
            family = CounterMetricFamily(f"{PREFIX}_{name}", help_text, labels=LABELS)
            for row in rows:
                values = [str(row[label]).lower() for label in LABELS]
                family.add_metric(values, (row[column] or 0) / divisor)
            yield family

    def describe(self) -> list[CounterMetricFamily]:
        """Return the names without a query: the table need not exist when the process starts."""
        return [CounterMetricFamily(f"{PREFIX}_{name}", text, labels=LABELS) for name, text, _, _ in COUNTERS]


def _sums() -> list[dict[str, Any]]:
    return list(
        CompressionRun.objects.order_by(*LABELS)
        .values(*LABELS)
        .annotate(
            runs=Count("id"),
            duration=Sum("duration_ms"),
            compiling=Sum("compile_ms"),
            original=Sum("original_bytes"),
            compressed=Sum("compressed_bytes"),
            all_tokens=Sum("tokens"),
            kept=Sum("tokens_kept"),
        )
    )
