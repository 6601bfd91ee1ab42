"""Fingerprints among 100 000 memories: how long a look-up takes, and how many near duplicates it finds.

    python -m benchmarks.uniqueness                                    # SQLite, a temporary file
    DATABASE_URL=postgres://... python -m benchmarks.uniqueness        # PostgreSQL, a temporary database
    python -m benchmarks.uniqueness --memories 0 --model smollm2-135m  # real texts and caches alone
    python -m benchmarks.uniqueness --memories 0 --model smollm2-135m --profile FILE

The memories are synthetic: tokens by Zipf's law, a tenth of them stock phrases, values that depend on the token; and a
tenth of the memories is behind one and the same prompt. Their fingerprints are made, entered and looked up by the code
that serves; the bands are entered past the ORM. What is looked up is a memory of which a part was changed; beside it
every signature is compared. `cpu_ms` is the mean processor time of a look-up, the database's with it: the other times
depend on what else the machine does. With a model, its own caches of news articles are compared: as they are, coded,
and with a part changed. The last line is JSON.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.event_store import scratch_database, set_up_django
from benchmarks.tables import print_table, rounded

MEMORIES, TOKENS, PROMPT = 100_000, 96, 24
VOCABULARY, PHRASES, WIDTH = 30_000, 20_000, 16
ASKED = 100  # look-ups of each sort
CHANGED = (0.0, 0.1, 0.25, 0.5, 0.75)  # of the tokens, in one stretch
BAR = 50.0  # milliseconds: 95th percentile of a look-up
FOUND = 0.3  # similarity from which on a near duplicate should be found
BATCH = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memories", type=int, default=MEMORIES, help="0: no synthetic ones")
    parser.add_argument("--model", help="read real texts with this model, too")
    parser.add_argument("--documents", type=int, default=6, help="for the model")
    parser.add_argument("--profile", type=Path, help="a codec profile of the model")
    options = parser.parse_args()
    answer: dict[str, Any] = {"cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    with scratch_database() as url:
        os.environ["DATABASE_URL"] = url
        set_up_django()
        if options.memories:
            answer |= among(options.memories)
        if options.model:
            from benchmarks.uniqueness.texts import compared

            answer["texts"] = compared(options.model, documents=options.documents, profile=options.profile)
    print(json.dumps(rounded(answer)))


def among(memories: int) -> dict[str, Any]:
    """Enter so many synthetic memories, look up changed ones, and return times and recall."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    source = Source(seed=1)
    started = time.perf_counter()
    signatures = entered(source, memories)
    filled = time.perf_counter() - started
    analyse()
    rows = [asked(source, memories, signatures, share) for share in CHANGED]
    rows.append(asked(source, memories, signatures, None))
    print_table(f"look-ups among {memories} memories, {connection.vendor}", rows)
    size, engine = bytes_on_disk(), connection.vendor
    connection.close()
    slowest = max(row["p95_ms"] for row in rows)
    return {"engine": engine, "memories": memories, "entering_s": filled, "bytes": size, "asked": rows} | {
        "synthetic": True,
        "met": slowest < BAR,
    }


class Source:
    """Synthetic memories by number, always the same ones."""

    def __init__(self, *, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self._phrases = [self._words(generator, generator.integers(5, 15)) for _ in range(PHRASES)]
        self._prompt = self._words(generator, PROMPT)
        self._values = generator.normal(size=(VOCABULARY, WIDTH)).astype(np.float32)

    def ids(self, number: int) -> np.ndarray:
        """Return a memory's tokens: a tenth of it stock phrases, a tenth of all memories behind the prompt."""
        generator = np.random.default_rng((7, number))
        parts = [self._prompt] if number % 10 == 0 else []
        while sum(map(len, parts)) < TOKENS:
            stock = self._phrases[int(PHRASES * generator.random() ** 2)]
            parts += [stock, self._words(generator, 9 * len(stock))]
        return np.concatenate(parts)[:TOKENS]

    def changed(self, number: int, share: float | None) -> np.ndarray:
        """Return a memory's tokens with a stretch replaced; None: of a memory that nobody has entered."""
        if share is None:
            return self.ids(-1 - number & 0xFFFFFFFF)
        ids, length = self.ids(number), int(TOKENS * share)
        generator = np.random.default_rng((8, number))
        start = int(generator.integers(0, TOKENS - length + 1))
        return np.concatenate([ids[:start], self._words(generator, length), ids[start + length :]])

    def memory(self, ids: np.ndarray) -> Any:
        """Return a snapshot of one layer whose values depend on the token, and on nothing else."""
        from latentmas.protocol.geometry import KVGeometry
        from latentmas.protocol.snapshot import KVSnapshot, whole

        geometry = KVGeometry(1, 1, WIDTH, WIDTH, (1e4,), (None,))
        values = self._values[ids][None, :, None]
        return KVSnapshot(whole(geometry, len(ids), model="synthetic", token_ids=ids), np.zeros_like(values), values)

    def _words(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return np.minimum(generator.zipf(1.2, count), VOCABULARY - 1).astype(np.int32)


def entered(source: Source, memories: int) -> dict[str, np.ndarray]:
    """Enter the memories' fingerprints and return all signatures `[memories, places]` by basis."""
    from marketplace.screening.fingerprints import BASES, PERMUTATIONS, PLACE, fingerprint_of
    from marketplace.screening.models import StoredFingerprint

    kept: dict[str, list[bytes]] = {basis: [] for basis in BASES}
    for first in range(0, memories, BATCH):
        numbers = range(first, min(first + BATCH, memories))
        prints = [fingerprint_of([source.memory(source.ids(number))]) for number in numbers]
        rows = StoredFingerprint.objects.bulk_create(
            StoredFingerprint(
                artefact_id=str(number), version="1.0.0", key_id=each.key_id, tokens=each.tokens, rows=each.rows
            )
            for number, each in zip(numbers, prints, strict=True)
        )
        enter_bands((row.pk, value) for row, each in zip(rows, prints, strict=True) for value in each.bands)
        for basis in BASES:
            kept[basis] += [each.of(basis) or b"" for each in prints]
    return {basis: np.frombuffer(b"".join(all_), PLACE).reshape(-1, PERMUTATIONS) for basis, all_ in kept.items()}


def enter_bands(pairs: Iterator[tuple[int, int]]) -> None:
    from django.db import connection

    if connection.vendor == "postgresql":
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY screening_fingerprintband (fingerprint_id, value) FROM STDIN") as copy,
        ):
            for pair in pairs:
                copy.write_row(pair)
        return
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO screening_fingerprintband (fingerprint_id, value) VALUES (%s, %s)", [*pairs])


def analyse() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def asked(source: Source, memories: int, signatures: dict[str, np.ndarray], share: float | None) -> dict[str, Any]:
    """Look up changed memories one after the other; return times, recall, and how similar the nearest really is."""
    from marketplace.screening.fingerprints import BASES, PLACE, fingerprint_of
    from marketplace.screening.index import matches

    times, found, real, spent = [], [], [], 0.0
    for number in np.random.default_rng(3).choice(memories, min(ASKED, memories), replace=False).tolist():
        fingerprint = fingerprint_of([source.memory(source.changed(number, share))])
        started, before = time.perf_counter(), processor_seconds()
        best = matches(fingerprint, but="nobody")
        times.append(1000 * (time.perf_counter() - started))
        spent += processor_seconds() - before
        mine = {basis: np.frombuffer(fingerprint.of(basis) or b"", PLACE) for basis in BASES}
        whole = np.max([(signatures[basis] == mine[basis]).mean(axis=1) for basis in BASES], axis=0)
        real.append(float(whole.max()))
        found.append(best[0].similarity if best else 0.0)
    return {
        "changed": "a stranger" if share is None else f"{share:.0%}",
        "similarity": float(np.mean(real)),
        "recall": recall(real, found, least=0.0),
        "recall_from_.3": recall(real, found, least=FOUND),
        "median_ms": float(np.median(times)),
        "p95_ms": float(np.quantile(times, 0.95)),
        "most_ms": max(times),
        "cpu_ms": 1000 * spent / len(times),
    }


def processor_seconds() -> float:
    """Return the processor time of this process and of the database process that serves it."""
    import psutil
    from django.db import connection

    spent = time.process_time()
    if connection.vendor == "postgresql":
        server = psutil.Process(connection.connection.info.backend_pid).cpu_times()
        spent += server.user + server.system
    return spent


def recall(real: Sequence[float], found: Sequence[float], *, least: float) -> float | None:
    """Return the share of look-ups whose best match is as similar as the best of all; None where none is so similar."""
    due = [one == other for one, other in zip(real, found, strict=True) if one >= least]
    return float(np.mean(due)) if due else None


def bytes_on_disk() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
