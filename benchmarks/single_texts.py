"""How often honest texts lie below a certificate's lower end: one of them, and eight pooled as in an acceptance.

    python -m benchmarks.single_texts [--length 256] [--registers news code ...]

The map that comes with the project is scored on every register of the core suite, one NLL for each document. A
register's lower end is what a certificate states of it; the same documents stand for an honest buyer's texts. Shares
are of a register's documents, and of DRAWS random eights of them. Ends with one JSON line: the means over registers.
"""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.session import MODELS, scratch_session
from latentmas.protocol.quality import SAMPLED

if TYPE_CHECKING:
    from factory.corpora.suite import SuiteCell
    from factory.session import FactorySession
    from latentmas.protocol.tensors import Array

EIGHT, DRAWS, SEED = 8, 1_000, 20260801


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each register, and the shares over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=256, help="tokens of context")
    parser.add_argument("--registers", nargs="*", help="only these")
    given = parser.parse_args(arguments)
    found: dict[str, dict[str, float]] = {}
    with scratch_session() as session:
        for cell in session.suite.cells:
            asked = cell.register in given.registers if given.registers else cell.register != SAMPLED
            if cell.length == given.length and cell.documents and asked:
                found[cell.register] = judge(*scores_of(cell, session))
                print(cell.register, json.dumps(found[cell.register]), flush=True)
    total = {name: round(float(np.mean([each[name] for each in found.values()])), 4) for name in ("one", "eight")}
    print(json.dumps({"length": given.length, "documents": sum(each["documents"] for each in found.values())} | total))


def scores_of(cell: "SuiteCell", session: "FactorySession") -> "tuple[Array, Array, Array]":
    """Return a cell's NLLs `[documents]`: after nothing, after the own cache, and after the aligned memory."""
    from factory.measurement.evaluation import bounds_of, mapped_by, nll_of
    from factory.measurement.suite import passages_in, reader
    from kvcache.exchange.mapping import open_map

    source, target = (session.model(name) for name in MODELS)
    distilled = session.distilled_map(*MODELS)
    assert distilled is not None
    memory = mapped_by(open_map(distilled.read(), target=target.geometry))
    passages = list(passages_in(cell, reader(source, target)))
    nothing, own = np.array(bounds_of(passages, target=target)).T
    return nothing, own, np.array([nll_of(target, memory(each), each) for each in passages])


def judge(nothing: "Array", own: "Array", aligned: "Array") -> dict[str, float]:
    """Return the register's interval, and how many single documents and eights would be below its lower end.

    `eight` is the share of eights whose pooled upper end is below it, which is what gives the price back.
    """
    from factory.measurement.metrics import retention

    stated = retention(aligned, nothing=nothing, own=own)
    single = (nothing - aligned) / (nothing - own)
    generator = np.random.default_rng(SEED)
    eights = [generator.choice(len(own), EIGHT, replace=False) for _ in range(DRAWS)]
    upper = [retention(aligned[each], nothing=nothing[each], own=own[each]).high for each in eights]
    return {
        "documents": len(own),
        "retention": round(stated.value, 4),
        "low": round(stated.low, 4),
        "one": round(float(np.mean(single < stated.low)), 4),
        "eight": round(float(np.mean(np.array(upper) < stated.low)), 4),
    }


if __name__ == "__main__":
    main()
