"""How much of a context's help a W-Matrix keeps: the three methods, a published recipe, files of refined maps.

    python -m benchmarks.alignment [--split selection] [--methods]          # closed form, on the documents that choose
    python -m benchmarks.alignment --w-matrix FILE [--w-matrix FILE ...]    # files, half and 8-bit precision, controls

Held-out documents were seen by neither calibration nor selection. The recipe is that of arXiv 2608.03893, written
again (`alignment_peer.py`), fitted on the same rows. Ends with one JSON line.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.alignment.peer import fit_peer, peer_aligner, peer_bytes
from benchmarks.session import scratch_session
from benchmarks.tables import print_table

if TYPE_CHECKING:
    from factory.alignment.fit import LinearMap, PairStatistics
    from factory.measurement.evaluation import Memory
    from factory.measurement.passages import Passage
    from factory.packs.pack import OpenedPack
    from factory.session import FactorySession
    from kvcache.exchange.mapping import LatentMap
    from latentmas.protocol.snapshot import KVSnapshot
    from latentmas.protocol.tensors import Array
    from latentmas.protocol.w_matrix import WMatrix

MODELS = ("smollm2-135m", "gemma-3-270m")
DIMENSIONS = (256, 768)
Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--w-matrix", type=Path, action="append", default=[])
    parser.add_argument("--methods", action="store_true", help="fit and compare the closed-form methods")
    parser.add_argument("--split", choices=("selection", "held-out"), default="held-out")
    parser.add_argument("--corpora", nargs="+", default=["lee", "wikipedia"])
    parser.add_argument("--documents", type=int, default=40, help="at most, of each corpus")
    parser.add_argument("--directions", choices=("both", "forward", "back"), default="both")
    options = parser.parse_args()
    rows: list[Row] = []
    with scratch_session() as session:
        for source, target in directions(options.directions):
            courts = [Court(name, source, target, options, session) for name in options.corpora]
            if options.methods:
                rows += closed_form(source, target, courts, session)
            for path in options.w_matrix:
                rows += of_file(path, (source, target), courts)
    print_table(f"retention on {options.split} documents", rows)
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    print(json.dumps({"split": options.split, "rows": rows, "peak_gigabytes": peak}))


def directions(which: str) -> list[tuple[str, str]]:
    both = [MODELS, (MODELS[1], MODELS[0])]
    return {"both": both, "forward": both[:1], "back": both[1:]}[which]


@dataclass
class Court:
    """The passages of one corpus that judge one direction, with the bounds of every passage."""

    corpus: str
    source: str
    target: str
    options: argparse.Namespace
    session: "FactorySession"
    _read: "tuple[list[Passage], list[tuple[float, float]]] | None" = None

    def judge(self, memory: "Memory", *, leave: int = 0) -> Row:
        from factory.measurement.evaluation import aligned_retention

        passages, bounds = self.read()
        target = self.session.model(self.target)
        interval = aligned_retention(memory, passages, target=target, bounds=bounds, leave=leave)
        return {self.corpus: [round(figure, 4) for figure in (interval.value, interval.low, interval.high)]}

    def everything(self, w_matrix: "WMatrix") -> Row:
        """Return the controls and the text baselines of the same passages."""
        from factory.measurement.arms import evaluate

        found = evaluate(
            w_matrix,
            self.read()[0],
            target=self.session.model(self.target),
            progress=lambda _done, _total: None,
        ).retention
        return {
            arm: [round(getattr(each, part), 4) for part in ("value", "low", "high")]
            for arm in found.__dataclass_fields__
            if (each := getattr(found, arm))
        }

    def read(self) -> "tuple[list[Passage], list[tuple[float, float]]]":
        if self._read is None:
            from factory.corpora import Split, load_corpus
            from factory.measurement.evaluation import bounds_of
            from factory.measurement.passages import read_passages

            documents = load_corpus(self.corpus).part(Split(self.options.split))
            source, target = self.session.model(self.source), self.session.model(self.target)
            passages = read_passages(
                documents,
                source=source,
                target=target,
                wanted=self.options.documents,
                progress=lambda _done, _total: None,
            )
            self._read = passages, bounds_of(passages, target=target)
        return self._read


def closed_form(source: str, target: str, courts: list[Court], session: "FactorySession") -> Iterator[Row]:
    """Yield a row for every method, penalty and unified dimension, the correction, and the published recipe."""
    from factory.alignment.fit import accumulate
    from factory.corpora import Split
    from factory.packs.pairs import paired_rows

    packs = session.pack(source), session.pack(target)
    session.unload_models()
    started = time.monotonic()
    statistics = accumulate(lambda: paired_rows(*packs, Split.CALIBRATION), progress=lambda _done, _total: None)
    gathered = round(time.monotonic() - started, 1)
    for row, memory in candidates(statistics, packs):
        verdicts = [court.judge(memory) for court in courts]
        yield _shown({"direction": f"{source} -> {target}", **row, "gather s": gathered}, verdicts)


def candidates(statistics: "PairStatistics", packs: "tuple[OpenedPack, OpenedPack]") -> "Iterator[tuple[Row, Memory]]":
    """Yield every closed-form map as its row and what applies it."""
    from factory.alignment.fit import solve
    from factory.measurement.evaluation import mapped_by, memory_of
    from factory.recipes.assembly import RIDGE
    from kvcache.exchange.mapping import open_map
    from latentmas.protocol.w_matrix import Method

    for method in Method:
        started = time.monotonic()
        again = replace(statistics, gram=statistics.gram.copy())
        fitted = solve(again, method=method, penalty=RIDGE, rank=max(DIMENSIONS))
        seconds = round(time.monotonic() - started, 1)
        for dimension in DIMENSIONS:
            arrays = fitted.truncated(dimension).arrays()
            row: Row = {"method": method.value, "du": dimension, "MB": _megabytes(arrays), "solve s": seconds}
            yield row, mapped_by(open_map(arrays))
        yield from corrections(fitted, packs, {"method": method.value})
    source, target = (pack.of_cache()[0] for pack in packs)
    maps = fit_peer(statistics, source, target)
    peer = peer_aligner(maps, statistics)
    named: Row = {"method": "2608.03893", "MB": round(peer_bytes(maps) / 1e6, 1)}
    yield named, lambda passage: memory_of(passage, peer(passage.source_rows))


def corrections(
    fitted: "LinearMap", packs: "tuple[OpenedPack, OpenedPack]", row: Row
) -> "Iterator[tuple[Row, Memory]]":
    """Yield the map with the correction by the target's tokens, and what that makes of a blank source memory."""
    from factory.measurement.evaluation import mapped_by
    from factory.recipes.closed_form import fit_its_correction
    from kvcache.exchange.mapping import open_map

    started = time.monotonic()
    arrays = fitted.arrays() | fit_its_correction(packs, fitted, progress=lambda _done, _total: None)
    geometry = packs[1].of_cache()[0]
    latent_map = open_map(arrays, target=geometry)
    common = row | {"du": max(DIMENSIONS), "correction": True, "MB": _megabytes(arrays)}
    yield common | {"solve s": round(time.monotonic() - started, 1)}, mapped_by(latent_map)
    yield common | {"source": "blank"}, blank_source(latent_map)


def blank_source(latent_map: "LatentMap") -> "Memory":
    """Return what the target's tokens alone give: the same map of a memory that is the mean everywhere."""
    from factory.measurement.evaluation import memory_of

    def blank(passage: "Passage") -> "KVSnapshot":
        assert latent_map.correction is not None
        known = passage.first_layers(latent_map.correction.width)
        mean = np.broadcast_to(latent_map.source_mean, (len(passage.context), len(latent_map.source_mean)))
        return memory_of(passage, latent_map.apply(mean, known))

    return blank


def of_file(path: Path, pair: tuple[str, str], courts: list[Court]) -> Iterator[Row]:
    """Yield a row for the file with and without the target's tokens, its 8-bit form, and a blank source memory.

    Controls and text baselines of the file are printed on a line of their own.
    """
    from factory.measurement.evaluation import handed_over
    from kvcache.exchange.mapping import open_w_matrix
    from latentmas.protocol.eight_bit import MATRICES, matrix_of, to_eight_bit
    from latentmas.protocol.quality import REREAD_TOKENS
    from latentmas.protocol.w_matrix import WMatrix, read_w_matrix

    w_matrix = read_w_matrix(path)
    document = w_matrix.document
    if (document.source_model, document.target_model) != pair:
        return
    whole = {name: array for name, array in w_matrix.arrays.items() if name not in ("encoder_scale", "decoder_scale")}
    whole |= {name: matrix_of(w_matrix.arrays, name) for name in MATRICES}
    small = to_eight_bit(whole)
    common: Row = {"direction": " -> ".join(pair), "method": document.method.value, "du": document.unified_dimension}
    arms = {f"arms, {court.corpus}": court.everything(w_matrix) for court in courts}
    print(json.dumps({**common, **arms}), flush=True)
    opened = open_w_matrix(w_matrix)
    forms = (
        ("file", _megabytes(w_matrix.arrays), handed_over(opened)),
        ("8 bit", _megabytes(small), handed_over(open_w_matrix(WMatrix(document, small)))),
        ("without the target's tokens", None, handed_over(opened, by_tokens=False)),
        ("blank source", None, blank_source(opened.map)),
    )
    for name, size, memory in forms:
        yield _shown({**common, "form": name, "MB": size}, [court.judge(memory) for court in courts])
    last = [court.judge(handed_over(opened, leave=REREAD_TOKENS), leave=REREAD_TOKENS) for court in courts]
    yield _shown({**common, "form": f"the last {REREAD_TOKENS} tokens read by the target", "MB": None}, last)


def _megabytes(arrays: "dict[str, Array]") -> float:
    return round(sum(array.nbytes for array in arrays.values()) / 1e6, 1)


def _shown(row: Row, verdicts: list[Row]) -> Row:
    """Return the whole row, printed at once: the run is long."""
    for verdict in verdicts:
        row |= verdict
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    main()
