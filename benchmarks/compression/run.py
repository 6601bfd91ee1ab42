"""Run the parts of the compression benchmark and print their tables."""

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.compression import groups, speed
from benchmarks.compression import retrieval as probe
from benchmarks.compression import table as specification
from benchmarks.compression.arms import Arm, own_arms
from benchmarks.compression.cases import read_context
from benchmarks.compression.documents import IN_DOMAIN, SHIFTED
from benchmarks.compression.peers import cachegen_tables, peer_arms
from benchmarks.compression.setup import Bench, set_up
from benchmarks.tables import print_table
from factory.codec.windows import Window, read_windows
from factory.corpora import WIKIPEDIA, Split, load_corpus

Figures = dict[str, Any]
LENGTHS = (1024, 4096, 16_384, 32_768)
ON_SHIFTED = ("transform 20x", "transform 38x", "quantise 4+3 bit", "quantise mixed 4x")
IN_PROBE = ("transform 20x", "quantise mixed 4x", "select 5 %")
TABLE_WINDOWS = 2  # of the selection documents, on which CacheGen's frequencies are counted


def run(options: argparse.Namespace, scratch: Path) -> Figures:
    """Return the figures of the parts asked for, by model and part."""
    import torch

    torch.set_num_threads(options.threads)
    parts = options.parts.split(",")
    if "speed" in parts:
        speed.compile_afresh(scratch / "jax")
    figures: Figures = {}
    profiles = dict(each.split("=", 1) for each in options.profile)
    for name in options.model:
        started = time.monotonic()
        bench = set_up(name, profiles=profiles)
        print(f"\n== {name}, codec profile of {bench.profile.size / 1e6:.1f} MB")
        figures[name] = {"profile": bench.profile.digest, "profile_bytes": bench.profile.size}
        figures[name] |= {part: measure(bench, options) for part, measure in PARTS.items() if part in parts}
        figures[name]["seconds"] = round(time.monotonic() - started)
    figures["peak_gigabytes"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    return figures


def _speed(bench: Bench, options: argparse.Namespace) -> Figures:
    text = bench.windows("wikipedia", 1)[0].context
    context = read_context(bench.model, text)
    calls = [
        speed.selection_row(bench.adapter),
        *speed.coding_rows(context, bench.adapter, bench.profile),
        *speed.first_token_rows(bench.model, text, bench.adapter, bench.profile),
    ]
    print_table("Speed", calls)
    lengths = tuple(length for length in LENGTHS if length <= options.longest)
    longer = speed.length_rows(context, bench.adapter, bench.profile, lengths=lengths)
    print_table("Time by length, transform 20x, tiled from real rows", longer)
    return {"calls": calls, "lengths": longer}


def _table(bench: Bench, options: argparse.Namespace) -> list[Figures]:
    del options
    text = bench.windows("wikipedia", 1)[0].context
    rows = specification.model_rows(bench.model, bench.adapter, text) + specification.random_rows(bench.adapter)
    print_table("The specification's table: 100 tokens, queries of the last 8", rows)
    return rows


def _ratio(bench: Bench, options: argparse.Namespace) -> Figures:
    counted = read_windows(load_corpus(WIKIPEDIA).part(Split.SELECTION), bench.model, wanted=TABLE_WINDOWS)
    tables = cachegen_tables([read_context(bench.model, window.context).snapshot for window in counted])
    arms = own_arms(bench.adapter, bench.profile) + peer_arms(tables)
    found = _measured(bench, options, IN_DOMAIN, arms)
    if options.kvpress_python:
        for group in IN_DOMAIN:
            rows = _kvpress(bench, options, bench.windows(group, _wanted(options, group)))
            print_table(f"{group}: kvpress (entries kept, at float16)", rows)
            found[group]["kvpress"] = rows
    else:
        print("\nkvpress was left out: name an interpreter that has it with --kvpress-python")
    return found


def _shift(bench: Bench, options: argparse.Namespace) -> Figures:
    arms = [arm for arm in own_arms(bench.adapter, bench.profile) if arm.name in ON_SHIFTED]
    return _measured(bench, options, SHIFTED, arms)


def _measured(bench: Bench, options: argparse.Namespace, names: Sequence[str], arms: Sequence[Arm]) -> Figures:
    found: Figures = {}
    bounded = groups.bound_arms(bench.adapter, bench.profile)
    for group in names:
        windows = bench.windows(group, _wanted(options, group))
        between, readings = groups.read_group(bench.model, windows, arms, bounded)
        by_arm = groups.arm_rows(arms, between, readings, bench.profile.size)
        bounds = groups.bound_rows(len(windows), readings)
        print_table(f"{group}: {len(windows)} documents, x1 to x1000: ratio with the profile shared by so many", by_arm)
        print_table(f"{group}: asked for a bound on the KL", bounds)
        found[group] = {"arms": by_arm, "bounds": bounds}
    return found


def _wanted(options: argparse.Namespace, group: str) -> int:
    return int(options.documents) if group == IN_DOMAIN[0] else max(1, options.documents // 2)


def _probe(bench: Bench, options: argparse.Namespace) -> list[Figures]:
    arms = [arm for arm in own_arms(bench.adapter, bench.profile) if arm.name in IN_PROBE]
    told: dict[str, int] = {}
    contexts = probe.probes(bench.model, bench.windows("wikipedia", options.probes))
    for each in contexts:
        for name, count in probe.retrieved(bench.model, each, arms).items():
            told[name] = told.get(name, 0) + count
    asked = probe.FACTS * len(contexts)
    rows = [{"cache": name, "asked": asked, "told": count, "%": 100 * count / asked} for name, count in told.items()]
    print_table("Retrieval: a fact from the first tenth, asked for at the end", rows)
    return rows


def _kvpress(bench: Bench, options: argparse.Namespace, windows: Sequence[Window]) -> list[Figures]:
    """Return kvpress's own scores, or why there are none."""
    request = {
        "folder": str(bench.weights.folder),
        "bos": bench.model.bos,
        "threads": options.threads,
        "windows": [{"context": each.context, "continuation": each.continuation} for each in windows],
    }
    script = Path(__file__).with_name("kvpress.py")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(request, file)
        file.flush()
        done = subprocess.run([options.kvpress_python, script, file.name], capture_output=True, text=True, check=False)
    if done.returncode:
        return [{"press": "none", "refused": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}]
    return [json.loads(line) for line in done.stdout.splitlines()]


PARTS: dict[str, Callable[[Bench, argparse.Namespace], Any]] = {
    "speed": _speed,  # first: nothing is compiled yet
    "table": _table,
    "ratio": _ratio,
    "shift": _shift,
    "probe": _probe,
}
