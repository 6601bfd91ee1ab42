"""How the time of a measured pair falls with the number of workers: one pair in parts, on real models.

    python -m benchmarks.factory_scaling                  # with 1 and 2 workers, each held to a core of its own
    python -m benchmarks.factory_scaling --workers 1      # the others on paper, from the times of the parts

Real Celery workers over a broker of files, with a database and a cache of their own below a scratch folder; only
converted weights are taken from CACHE_DIR. The pair is smaller than the default one (--tokens, --documents a cell, no
refinement).
On paper, each step's parts go to the next free worker in order, and what only one process can do stays as it is.
Ends with one JSON line.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

SOURCE, TARGET = "smollm2-135m", "gemma-3-270m"
KIND = "benchmark.pair"
PATIENCE_SECONDS = 3 * 3600
ON_PAPER = (1, 2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2", help="Numbers of workers to run with, comma-separated.")
    parser.add_argument("--tokens", type=int, default=60_000, help="Of calibration text that each model reads.")
    parser.add_argument("--documents", type=int, default=2, help="Of each cell of 256 tokens that are scored.")
    options = parser.parse_args()
    figures = {}
    for workers in map(int, options.workers.split(",")):
        seconds, parts = measured(workers, tokens=options.tokens, documents=options.documents)
        figures[str(workers)] = {"seconds": round(seconds, 1), "steps": {name: sum(of) for name, of in parts.items()}}
        print(f"{workers} workers: {seconds:.0f} s")
        for name, times in parts.items():
            print(f"  {name:28} {len(times):3} parts, {sum(times):7.1f} s in all, the longest {max(times):6.1f} s")
        if workers == 1:
            alone = seconds - sum(sum(times) for times in parts.values())
            paper = {count: round(on_paper(parts, count) + alone, 1) for count in ON_PAPER}
            figures["on_paper"] = paper | {"outside_of_parts": round(alone, 1)}
            print(f"  outside of the parts {alone:.1f} s; on paper with {paper}")
    print(json.dumps(figures))


def on_paper(parts: dict[str, list[float]], workers: int) -> float:
    """Return the seconds that all steps take one after the other, the parts of each going to the next free worker."""
    whole = 0.0
    for times in parts.values():
        free = [0.0] * workers
        for each in times:
            free[free.index(min(free))] += each
        whole += max(free)
    return whole


def measured(workers: int, *, tokens: int, documents: int) -> tuple[float, dict[str, list[float]]]:
    """Return the wall time of the pair with so many workers, and the times of its parts by kind, in order."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {
            "DATA_DIR": scratch,
            "CACHE_DIR": f"{scratch}/cache",
            "DATABASE_URL": f"sqlite:///{scratch}/jobs.sqlite3",
            "CELERY_BROKER_URL": "files://localhost/",
            "BENCHMARK_PAIR": json.dumps({"tokens": tokens, "documents": documents}),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "DJANGO_SETTINGS_MODULE": "latentmas.settings",
        }
        known = Path(os.environ.get("CACHE_DIR", "var/cache"))
        for name in ("converted", "gguf"):
            if (known / name).exists():
                shutil.copytree(known / name, Path(scratch) / "cache" / name)
        manage = [sys.executable, "manage.py"]
        for command in (["migrate", "--verbosity", "0"], ["load_registry"]):
            subprocess.run(manage + command, env=environment, check=True, stdout=subprocess.DEVNULL)
        running = [_worker(number, environment) for number in range(workers)]
        try:
            found = subprocess.run(
                [sys.executable, "-m", __spec__.name if __spec__ else __name__, "--inside"],
                env=environment, check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        finally:
            for each in running:
                each.terminate()
            for each in running:
                each.wait()
    answer = json.loads(found.stdout.splitlines()[-1])
    return answer["seconds"], answer["parts"]


def _worker(number: int, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    cores = sorted(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(cores[number])] if number < len(cores) else []
    command += [sys.executable, "-m", "celery", "--quiet", "-A", "latentmas.celery", "worker", "--pool", "solo"]
    command += ["--queues", "measure,work,light", "--include", "benchmarks.factory_scaling"]
    command += ["--hostname", f"worker{number}@%h", "--without-gossip", "--without-mingle"]
    return subprocess.Popen(command, env=environment)


def inside() -> None:
    """Start the pair, wait for it, and print its time and those of its parts as one JSON line."""
    import django

    django.setup()
    from latentmas.jobs.commands import start
    from latentmas.jobs.models import Job, State
    from latentmas.jobs.queries import FACTORY

    register()
    began = time.monotonic()
    job = start(KIND, arguments={}, requested_by=FACTORY)
    while job.is_open and time.monotonic() - began < PATIENCE_SECONDS:
        time.sleep(0.5)
        job.refresh_from_db()
    if job.state != State.DONE:
        raise SystemExit(f"the pair is {job.state}: {job.problem}")
    seconds = time.monotonic() - began
    parts: dict[str, list[float]] = defaultdict(list)
    for part in Job.objects.filter(parent=job.id).order_by("created_at", "part"):
        name = f"{part.kind} {part.arguments.get('model', '')}".strip()
        parts[name].append(round((part.finished_at - part.started_at).total_seconds(), 2))
    print(json.dumps({"seconds": seconds, "parts": parts}))


def register() -> None:
    """Let this process know the kind of job, on a session of the size that the benchmark asks for."""
    from factory.cold_start import parts
    from factory.cold_start.run import default_session
    from factory.corpora.suite import EvaluationSuite, load_suite
    from factory.progress import silent
    from latentmas.jobs.handlers import Queue, handler

    wanted = json.loads(os.environ["BENCHMARK_PAIR"])

    def suite() -> EvaluationSuite:
        core = load_suite()
        cells = [
            replace(each, read=lambda each=each: each.documents[: wanted["documents"]], wanted=wanted["documents"])
            for each in core.cells
            if each.length == 256 and each.available >= wanted["documents"]
        ]
        return replace(core, name="suite/benchmark", cells=tuple(cells))

    if not parts._sessions:
        session = default_session(stage=silent, metadata=parts.METADATA, tokens=wanted["tokens"])
        session.read_suite = suite
        parts._sessions.append(session)

        @handler(KIND, queue=Queue.MEASURE, deadline=parts.LONGEST)
        def pair(run):  # type: ignore[no-untyped-def]
            from factory.recipes.maps import FunctionalOrder

            order = FunctionalOrder(SOURCE, TARGET, "1.0.0", test_samples=100, unified_dimension=512)
            made = parts.made_in_parts(order, run, parts.session_of(run))
            return {"file": made.file, "retention": made.quality.information_retention}


if "BENCHMARK_PAIR" in os.environ and "--inside" not in sys.argv:
    register()  # in a worker, which includes this module


if __name__ == "__main__":
    inside() if "--inside" in sys.argv else main()
