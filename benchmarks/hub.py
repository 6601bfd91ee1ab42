"""One unified space for all models against a direct map for every ordered pair.

    python -m benchmarks.hub [--space kv-cache|embedding] [--rank N] [--corrections N ...] [PACK or MODEL ...]

Maps are fitted on the calibration documents and compared on held-out rows by their normalised error and, on the
documents of `--split`, by what they are for: retention where the packs hold caches (the target model reads), the mean
reciprocal rank where they hold embeddings. Packs come from files, or are captured now. Ends with one JSON line.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.session import pack_of, scratch_session
from benchmarks.tables import print_table

if TYPE_CHECKING:
    from factory.alignment.fit import LinearMap
    from factory.packs.pack import OpenedPack
    from factory.session import FactorySession

PENALTY = 0.03  # as of a direct map
PASSAGES = 40  # at most
Usefulness = Callable[["LinearMap"], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packs", nargs="*", default=["smollm2-135m", "gemma-3-270m"])
    parser.add_argument("--space", choices=("kv-cache", "embedding"), default="kv-cache")
    parser.add_argument("--rank", type=int, default=1024)
    parser.add_argument("--penalty", type=float, default=PENALTY)
    parser.add_argument("--corrections", type=int, nargs="+", default=[0, 1, 8])
    parser.add_argument("--split", choices=("selection", "held-out"), default="held-out")
    parser.add_argument("--corpus")
    parser.add_argument("--skip-functional", action="store_true", help="do not run the target models")
    options = parser.parse_args()
    with scratch_session(options.corpus) as session:
        packs = [pack_of(name, session, space=options.space) for name in options.packs]
        session.unload_models()
        rows = compare(packs, options, session)
    print_table("hub against direct maps", rows)
    print(json.dumps({"space": options.space, "rank": options.rank, "penalty": options.penalty, "pairs": rows}))


def compare(
    packs: Sequence["OpenedPack"], options: argparse.Namespace, session: "FactorySession"
) -> list[dict[str, object]]:
    """Return a row for every ordered pair: the figures of the direct map, and of every hub by its corrections."""
    maps, seconds = fitted_maps(packs, options)
    print(json.dumps({"seconds": seconds}), flush=True)
    rows = []
    for source, target in itertools.permutations(range(len(packs)), 2):
        useful = (
            None if options.skip_functional else usefulness(packs[source], packs[target], session, split=options.split)
        )
        row: dict[str, object] = {"pair": f"{packs[source].document.model} -> {packs[target].document.model}"}
        for name, found in maps[source, target].items():
            row[f"{name}_error"] = round(held_out_error(found, packs[source], packs[target]), 4)
            row[f"{name}_useful"] = None if useful is None else round(useful(found), 4)
        print(row, flush=True)
        rows.append(row)
    return rows


def fitted_maps(
    packs: Sequence["OpenedPack"], options: argparse.Namespace
) -> tuple[dict[tuple[int, int], dict[str, "LinearMap"]], dict[str, float]]:
    """Return the maps of every ordered pair by name, and how long each way of fitting took for all of them."""
    from factory.alignment.fit import fit_linear_map
    from factory.corpora import Split
    from factory.hub.hub import fit_hub
    from factory.hub.rows import corresponding_rows
    from factory.hub.views import accumulate_views
    from factory.progress import silent

    pairs = list(itertools.permutations(range(len(packs)), 2))
    maps: dict[tuple[int, int], dict[str, LinearMap]] = {pair: {} for pair in pairs}
    seconds = {}
    for corrections in options.corrections:
        started = time.monotonic()
        statistics = accumulate_views(lambda: corresponding_rows(packs, Split.CALIBRATION), progress=silent("hub"))
        rank = min(options.rank, statistics.rows - 1, sum(statistics.widths))
        hub = fit_hub(statistics, penalty=options.penalty, rank=rank, corrections=corrections)
        seconds[f"hub_{corrections}"] = round(time.monotonic() - started, 1)
        for source, target in pairs:
            maps[source, target][f"hub_{corrections}"] = hub.compose(source=source, target=target)
        del statistics, hub
    started = time.monotonic()
    for source, target in pairs:
        rank = min(options.rank, *(packs[each].document.width for each in (source, target)))
        both = packs[source], packs[target]
        maps[source, target]["direct"] = fit_linear_map(
            lambda both=both: pair_rows(*both, Split.CALIBRATION),  # type: ignore[misc]
            penalty=options.penalty,
            rank=rank,
            progress=silent("fit"),
        )
    seconds["direct"] = round(time.monotonic() - started, 1)
    return maps, seconds


def pair_rows(source: "OpenedPack", target: "OpenedPack", split: object) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a pair's rows: caches on the target's tokens, as in the factory, embeddings by passage."""
    from factory.corpora import Split
    from factory.hub.rows import corresponding_rows

    assert isinstance(split, Split)
    yield from ((mine, theirs) for theirs, mine in corresponding_rows((target, source), split))


def held_out_error(found: "LinearMap", source: "OpenedPack", target: "OpenedPack") -> float:
    """Return the squared error of the held-out target rows, standardised, as a share of their own squares."""
    from factory.corpora import Split

    wrong = whole = 0.0
    for mine, theirs in pair_rows(source, target, Split.HELD_OUT):
        wanted = found.target.apply(theirs)
        wrong += float(np.square(found.source.apply(mine) @ found.encoder @ found.decoder - wanted).sum(dtype="f8"))
        whole += float(np.square(wanted).sum(dtype="f8"))
    return wrong / whole


def usefulness(source: "OpenedPack", target: "OpenedPack", session: "FactorySession", *, split: str) -> Usefulness:
    """Return the function that says what a map is good for on the documents of a split."""
    from factory.corpora import Split
    from factory.measurement.evaluation import aligned_retention, bounds_of, mapped_by
    from factory.measurement.metrics import mean_reciprocal_rank, ranks
    from factory.measurement.passages import read_passages
    from factory.progress import silent
    from factory.recipes.embedding_fit import same_passages
    from kvcache.exchange.mapping import open_map
    from latentmas.protocol.w_matrix import Space

    if source.document.space is Space.EMBEDDING:
        pairs = same_passages(source, target, Split(split))
        return lambda found: mean_reciprocal_rank(ranks(open_map(found.arrays()).apply(pairs.source), pairs.target))
    session.unload_models(keep=target.document.model)
    reader = session.model(target.document.model)
    passages = read_passages(
        session.corpus.part(Split(split)),
        source=session.model(source.document.model),
        target=reader,
        wanted=PASSAGES,
        progress=silent("read"),
    )
    session.unload_models(keep=target.document.model)
    bounds = bounds_of(passages, target=reader)

    def kept(found: "LinearMap") -> float:
        memory = mapped_by(open_map(found.arrays()))
        return aligned_retention(memory, passages, target=reader, bounds=bounds).value

    return kept


if __name__ == "__main__":
    main()
