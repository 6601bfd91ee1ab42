"""The refinement as the factory runs it: which models read which texts, and what comes out."""

from collections.abc import Iterator, Mapping

import numpy as np

from factory.corpora import load_corpus
from factory.refinement.descent import Refinement, refine
from factory.refinement.lessons import Lesson, read_lesson, stretches
from factory.workshop import Workshop
from latentmas.protocol.eight_bit import MATRICES
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION


def refined(
    start: Mapping[str, Array], settings: Refinement, workshop: Workshop, *, source: str, target: str
) -> dict[str, Array]:
    """Return a W-Matrix's arrays after the refinement, in the precision of its file.

    Raises InvalidInput or ModelNotSupported.
    """
    corpora = [workshop.corpus, *(load_corpus(name) for name in settings.corpora)]
    distinct = list({corpus.digest: corpus for corpus in corpora}.values())
    workshop.unload_models()
    student, teacher = workshop.learner(source), workshop.learner(target)

    def lessons() -> Iterator[Lesson]:
        for stretch in stretches(distinct, seed=settings.seed):
            if lesson := read_lesson(stretch, source=student, target=teacher):
                yield lesson

    arrays = refine(
        start,
        lessons(),
        target=teacher,
        settings=settings,
        progress=workshop.stage(f"refine {source} -> {target}"),
    )
    halves = (name for name in (*MATRICES, *CORRECTION) if name in arrays)
    return arrays | {name: arrays[name].astype(np.float16) for name in halves}
