"""Measure a W-Matrix file on an evaluation suite, or on texts of your own that are in nobody's list.

    python -m benchmarks.alignment.suite --w-matrix FILE                      # suite/1-core
    python -m benchmarks.alignment.suite --w-matrix FILE --suite suite/1 --lengths 2048 --documents 2
    python -m benchmarks.alignment.suite --w-matrix FILE --texts essays=FOLDER --texts tales=FILE.txt --documents 10

A folder holds one document a .txt file; a file holds one document, cut into pieces that are long enough. Each is a
register; without `--texts` the registers are those of the suite. The last line is JSON.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.session import models_of, set_up_django
from benchmarks.texts import add_options, suite_of

if TYPE_CHECKING:
    from factory.corpora.suite import EvaluationSuite
    from factory.measurement.suite import Measured

COLUMNS = (
    *("aligned", "in_place", "own_tokens", "wrong_document", "text_eighth", "reread", "reread_nothing"),
    "source_tokens",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--w-matrix", type=Path, required=True)
    add_options(parser)
    options = parser.parse_args()
    set_up_django()
    found = _measure(options, suite_of(options))
    _print(found)


def _measure(options: argparse.Namespace, suite: "EvaluationSuite") -> "Measured":
    from factory.measurement.arms import judged
    from factory.measurement.journal import Journal
    from factory.measurement.suite import measure
    from factory.progress import silent
    from latentmas.protocol.w_matrix import read_w_matrix

    w_matrix = read_w_matrix(options.w_matrix)
    source, target = models_of(w_matrix.document)
    return measure(judged(w_matrix), suite, source=source, target=target, journal=Journal(), progress=silent("score"))


def _print(found: "Measured") -> None:
    rows = []
    for cell in found.figures.cells:
        row: dict[str, object] = {"register": cell.register, "length": cell.length, "documents": cell.documents}
        for arm in COLUMNS:
            interval = getattr(cell, arm)
            if interval is not None:
                row[arm] = [round(each, 3) for each in (interval.value, interval.low, interval.high)]
        rows.append(row)
        print(" ".join(f"{value}" for value in row.values()))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
