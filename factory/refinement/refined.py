"""The refinement as the factory runs it: which models read which texts, where its state is kept, what comes out."""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from factory.corpora import Split, load_corpus
from factory.generated import inputs_digest
from factory.pair_rows import paired_rows
from factory.refinement.descent import Refinement, refine
from factory.refinement.lessons import Lesson, read_lesson, stretches
from factory.workshop import Workshop
from kvcache.exchange.distribution import latent_scale
from latentmas.protocol.eight_bit import MATRICES
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

SCALE_CHUNKS = 4  # of paired rows, for the scale of the latents


def refined(
    start: Mapping[str, Array], settings: Refinement, workshop: Workshop, *, source: str, target: str
) -> dict[str, Array]:
    """Return the arrays that the refinement changes, in the precision of a W-Matrix file.

    An interrupted refinement goes on where it was. Raises InvalidInput or ModelNotSupported.
    """
    corpora = [workshop.corpus, *(load_corpus(name) for name in settings.corpora)]
    distinct = list({corpus.digest: corpus for corpus in corpora}.values())
    inputs = inputs_digest(
        settings=settings,
        source=workshop.weights(source).digest,
        target=workshop.weights(target).digest,
        corpora=[corpus.digest for corpus in distinct],
        start={name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in start.items()},
    )
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
        checkpoint=workshop.cache / "refinements" / f"{inputs}.safetensors",
        progress=workshop.stage(f"refine {source} -> {target}"),
    )
    return {
        **{name: arrays[name].astype(np.float16) for name in (*MATRICES, *CORRECTION)},
        "target_mean": arrays["target_mean"],
        "latent_scale": latent_scale(_latents(arrays, workshop, source, target)),
    }


def _latents(arrays: dict[str, Array], workshop: Workshop, source: str, target: str) -> Array:
    rows = paired_rows(workshop.pack(source), workshop.pack(target), Split.CALIBRATION)
    mine = np.concatenate([chunk[0] for chunk, _ in zip(rows, range(SCALE_CHUNKS), strict=False)])
    latents: Array = ((mine - arrays["source_mean"]) / arrays["source_scale"]) @ arrays["encoder"]
    return latents
