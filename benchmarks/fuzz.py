"""Requests drawn from the whole OpenAPI document, by a token of every scope, and sequences that go on from answers.

    python -m benchmarks.fuzz
    python -m benchmarks.fuzz --examples 200 --seed 7

The server is the WSGI application in this process, on SQLite, with one of everything in it and no throttle. A failure
is a status 5xx, a status, media type or header that the document does not have, or a body that its schema does not
allow; each is printed once, with a command that repeats it. The last line is JSON: requests by phase, answers by the
status' first digit, and the number of distinct failures.
"""

import argparse
import json
import logging
import os
import time
from collections import Counter
from typing import Any

from benchmarks.session import scratch_folder
from benchmarks.tables import rounded

PHASES = ("examples", "coverage", "fuzzing", "stateful")
THROTTLES = ("ANONYMOUS_READS", "ANONYMOUS_COMPUTING", "READS", "WRITES")
SHOWN = 600  # characters of a failure's message


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=50, help="drawn for each operation, and sequences")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phases", type=lambda text: text.split(","), default=PHASES)
    options = parser.parse_args()
    os.environ |= {f"THROTTLE_{name}": "off" for name in THROTTLES}
    began, cpu = time.perf_counter(), time.process_time()
    with scratch_folder():
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        logging.disable(logging.CRITICAL)
        figures = fuzzed(options.examples, options.seed, options.phases)
    figures |= {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps(rounded({"examples": options.examples, "seed": options.seed} | figures)))
    if figures["failures"]:
        raise SystemExit("an operation answered what it does not document")


def fuzzed(examples: int, seed: int, phases: list[str]) -> dict[str, Any]:
    """Run schemathesis' phases and print each distinct failure once."""
    from schemathesis.engine import events, from_schema

    from tests.rest.fuzzing import document, stocked

    schema = document(
        stocked(),
        seed=seed,
        generation={"max-examples": examples, "no-shrink": True, "database": "none"},
        phases={name: {"enabled": name in phases} for name in PHASES},
    )
    sent: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    failures: set[tuple[str | None, str, str]] = set()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished():
                sent[event.phase.value] += len(event.recorder.interactions)
                answers += Counter(_class_of(each) for each in event.recorder.interactions.values())
                failures |= {_shown(each, failures) for each in _failed(event.recorder)}
            case events.NonFatalError() | events.FatalError():
                raise SystemExit(f"schemathesis could not go on: {event}")
    return {
        "requests": sent,
        "answers": answers,
        "operations": schema.statistic.operations.total,
        "failures": len(failures),
    }


def _class_of(interaction: Any) -> str:
    return "none" if interaction.response is None else f"{interaction.response.status_code // 100}xx"


def _failed(recorder: Any) -> list[Any]:
    checks = [check.failure_info for each in recorder.checks.values() for check in each]
    return [found for found in checks if found is not None]


def _shown(found: Any, known: set[tuple[str | None, str, str]]) -> tuple[str | None, str, str]:
    """Return what tells a failure from others, and print it where it is new."""
    failure = found.failure
    key = (failure.operation, failure.title, failure.message.partition("\n")[0])
    if key not in known:
        print(
            f"{failure.operation}: {failure.title}\n{failure.message[:SHOWN]}\n{found.code_sample[:SHOWN]}\n",
            flush=True,
        )
    return key


if __name__ == "__main__":
    main()
