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

from benchmarks.compression import bounds, groups, speed
from benchmarks.compression import retrieval as probe
from benchmarks.compression import table as specification
from benchmarks.compression.arms import Arm, own_arms
from benchmarks.compression.cases import read_context
from benchmarks.compression.documents import CHOOSING, IN_DOMAIN, SHIFTED, UNSEEN
from benchmarks.compression.kvtc import kept_sides, kvtc_arms
from benchmarks.compression.peers import cachegen_tables, peer_arms
from benchmarks.compression.readme import print_readme
from benchmarks.compression.setup import Bench, set_up
from benchmarks.intervals import mean_interval
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
        print_readme(*(figures[name].get(part, {}).get(IN_DOMAIN[0], []) for part in ("ratio", "kvpress")))
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
    sides = kept_sides(bench.model, bench.calibration, bench.kept("kvtc.npz"))
    arms = own_arms(bench.adapter, bench.profile) + peer_arms(tables) + kvtc_arms(sides)
    if options.arms:
        arms = [arm for arm in arms if arm.name.startswith(tuple(options.arms.split(",")))]
    return _measured(bench, options, _groups(options, IN_DOMAIN), arms)


def _kvpress(bench: Bench, options: argparse.Namespace) -> Figures:
    found: Figures = {}
    if not options.kvpress_python:
        print("\nkvpress was left out: name an interpreter that has it with --kvpress-python")
        return found
    for group in _groups(options, IN_DOMAIN):
        windows = bench.windows(group, _wanted(options, group))
        found[group] = [_of_press(line) for line in _presses(bench, options, windows)]
        print_table(f"{group}: kvpress on {len(windows)} windows (entries kept, at float16)", found[group])
    return found


def _of_press(line: Figures) -> Figures:
    """Return a press's figures as means over the windows, with their intervals, or why it did not run."""
    named = {"press": line["press"], "budget": line.get("budget")}
    if "refused" in line:
        return named | {"refused": line["refused"]}
    ratio = len(line["ratio"]) / sum(1 / each for each in line["ratio"])  # of all bytes: windows are equally long
    return named | {"ratio": ratio, "KL": mean_interval(line["kl"]), "top-1": mean_interval(line["top1"])}


def _shift(bench: Bench, options: argparse.Namespace) -> Figures:
    arms = [arm for arm in own_arms(bench.adapter, bench.profile) if arm.name in ON_SHIFTED]
    return _measured(bench, options, _groups(options, SHIFTED), arms)


def _measured(bench: Bench, options: argparse.Namespace, names: Sequence[str], arms: Sequence[Arm]) -> Figures:
    found: Figures = {}
    for group in names:
        windows = bench.windows(group, _wanted(options, group))
        between, readings = groups.read_group(bench.model, windows, arms)
        found[group] = groups.arm_rows(arms, between, readings, bench.profile.size)
        title = f"{group}: {len(windows)} windows, x1 to x1000: ratio with the profile shared by so many"
        print_table(title, found[group])
    return found


def _bounds(bench: Bench, options: argparse.Namespace) -> Figures:
    names = _groups(options, (*IN_DOMAIN, *SHIFTED, *CHOOSING, *UNSEEN))
    read = {group: bounds.read_bounds(bench, bench.windows(group, options.bound_windows)) for group in names}
    for title, part in {"all that chose the margin": CHOOSING, "all that chose nothing": UNSEEN}.items():
        if together := [each for group in part for each in read.get(group, [])]:
            read[title] = together
    margins = [bounds.margin_row(name, found) for name, found in read.items()]
    held = [row for name, found in read.items() for row in bounds.bound_rows(name, found)]
    print_table("The margin that the KL bound needs, measured KL over the estimate without a margin", margins)
    print_table("Asked for a bound on the KL", held)
    return {"margins": margins, "bounds": held}


def _groups(options: argparse.Namespace, known: Sequence[str]) -> list[str]:
    """Return the groups of a part: all it knows, or those among them that are asked for."""
    asked = options.groups.split(",") if options.groups else known
    return [group for group in known if group in asked]


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


def _presses(bench: Bench, options: argparse.Namespace, windows: Sequence[Window]) -> list[Figures]:
    """Return kvpress's own scores of each window, or why there are none."""
    request = {
        "folder": str(bench.weights.folder),
        "bos": bench.model.bos,
        "threads": options.threads,
        "presses": options.presses.split(","),
        "windows": [{"context": each.context, "continuation": each.continuation} for each in windows],
    }
    script = Path(__file__).with_name("press_scores.py")
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
    "kvpress": _kvpress,
    "shift": _shift,
    "bounds": _bounds,
    "probe": _probe,
}
