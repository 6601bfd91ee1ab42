"""The closed form of a pair: the map of its calibration documents, and the correction of what it gets wrong."""

from collections.abc import Iterator

from factory.alignment.correction import fit_correction
from factory.alignment.fit import LinearMap, PairStatistics, fit_linear_map, solve
from factory.corpora import Split
from factory.measurement.control import known_width
from factory.packs.pack import OpenedPack
from factory.packs.pairs import Keep, every, paired_documents, paired_rows
from factory.progress import Progress
from factory.recipes.assembly import RIDGE
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Method

CORRECTION_ROWS = 40_000

Packs = tuple[OpenedPack, OpenedPack]  # of the source and of the target


def fit_map(
    packs: Packs,
    *,
    rank: int,
    method: Method,
    progress: Progress,
    keep: Keep = every,
    statistics: PairStatistics | None = None,
) -> LinearMap:
    """Return the map of the documents that `keep` wants, or of `statistics`, which are used up.

    Raises as `fit_linear_map` does.
    """
    if statistics is not None:
        return solve(statistics, penalty=RIDGE, rank=rank, method=method)
    return fit_linear_map(
        lambda: paired_rows(*packs, Split.CALIBRATION, keep),
        penalty=RIDGE,
        rank=rank,
        method=method,
        progress=progress,
    )


def fit_its_correction(packs: Packs, fitted: LinearMap, *, progress: Progress, keep: Keep = every) -> dict[str, Array]:
    """Return the correction of a map that was fitted on the same documents, each as if the map had not seen it.

    The first documents of about CORRECTION_ROWS tokens are enough for it.
    """

    def residuals() -> Iterator[Array]:
        rows, wanted = 0, min(CORRECTION_ROWS, fitted.rows)
        for mine, others in paired_documents(*packs, Split.CALIBRATION, keep):
            progress(rows, wanted)
            yield fitted.unseen(mine, others)
            if (rows := rows + len(mine)) >= wanted:
                break
        progress(wanted, wanted)

    return fit_correction(residuals(), width=known_width(packs[1].of_cache()[0]))
