"""Refine a W-Matrix by gradient descent on the target model's own loss instead of the error of predicted rows.

In each step both models read a stretch of calibration text, and Adam (Kingma and Ba 2015) changes a few scales and a
bias to lower KL(target after its own memory || target after the aligned one) along the continuation. The W-Matrix keeps
its form and size. Descent on the matrices themselves overfits single lessons (docs/alignment.md).
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from factory.corpora import load_corpus
from factory.progress import Progress
from factory.refinement.lessons import RECALL_EVERY, Lesson, for_recall, read_lesson, stretches
from factory.refinement.scales import BIAS, ScaledMap
from factory.runners.gradients import divergence_and_gradient, own_log_probabilities
from factory.runners.model import RunningModel
from factory.schedule import kept_at, rate_at
from factory.session import FactorySession
from latentmas.protocol.eight_bit import MATRICES
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

DECAY = (0.9, 0.99)  # of Adam's two averages
AVERAGE_DECAY = 0.98  # of the average over the steps, which is the result: single steps are noisy
WARM_UP = 20  # steps
LEAST_RATE = 0.05  # of the full learning rate, which falls along half a cosine
BIAS_RATE = 0.2  # of the learning rate
PLAIN_EVERY = 3  # steps, of which one runs without the correction, so that the map stays good without it


@dataclass(frozen=True, slots=True)
class Refinement:
    """Settings of a refinement. `learning_rate` is the change of a scale in one full step.

    `corpora` are read besides the one of the session; of each only the calibration documents.
    """

    steps: int = 100
    learning_rate: float = 3.2e-3
    seed: int = 0
    corpora: tuple[str, ...] = ()


def refined(
    start: Mapping[str, Array], settings: Refinement, session: FactorySession, *, source: str, target: str
) -> dict[str, Array]:
    """Return a W-Matrix's arrays after the refinement, in the precision of its file.

    Raises InvalidInput or ModelNotSupported.
    """
    corpora = [session.corpus, *(load_corpus(name) for name in settings.corpora)]
    distinct = list({corpus.digest: corpus for corpus in corpora}.values())
    session.unload_models()
    student, teacher = session.learner(source), session.learner(target)

    def lessons() -> Iterator[Lesson]:
        generator = random.Random(settings.seed)  # noqa: S311 - an order, not a secret
        for number, stretch in enumerate(stretches(distinct, seed=settings.seed)):
            chosen = for_recall(stretch, generator) if number % RECALL_EVERY == 0 else stretch
            if lesson := read_lesson(chosen, source=student, target=teacher):
                yield lesson

    arrays = refine(
        start,
        lessons(),
        target=teacher,
        settings=settings,
        progress=session.stage(f"refine {source} -> {target}"),
    )
    halves = (name for name in (*MATRICES, *CORRECTION) if name in arrays)
    return arrays | {name: arrays[name].astype(np.float16) for name in halves}


def refine(
    arrays: Mapping[str, Array],
    lessons: Iterator[Lesson],
    *,
    target: RunningModel,
    settings: Refinement,
    progress: Progress,
) -> dict[str, Array]:
    """Return the arrays of a W-Matrix, float32 where they changed, after the steps asked for."""
    import torch

    scaled = ScaledMap(arrays, target.geometry)
    parameters = {name: torch.from_numpy(array) for name, array in scaled.learnt.items()}  # the same memory
    averages = {name: array.copy() for name, array in scaled.learnt.items()}
    groups = [{"params": [parameter]} for parameter in parameters.values()]
    adam = torch.optim.Adam(groups, betas=DECAY)
    for step in range(settings.steps):
        progress(step, settings.steps)
        by_tokens = scaled.has_correction and step % PLAIN_EVERY != 0
        _, gradients = gradients_of(scaled, next(lessons), target, by_tokens=by_tokens)
        rate = settings.learning_rate * rate_at(step, settings.steps, warm_up=WARM_UP, least=LEAST_RATE)
        for group, (name, parameter) in zip(adam.param_groups, parameters.items(), strict=True):
            group["lr"] = rate * (BIAS_RATE if name == BIAS else 1.0)
            # Without a gradient Adam leaves a parameter and its averages alone.
            parameter.grad = torch.from_numpy(gradients[name]) if name in gradients else None
        adam.step()
        kept = kept_at(step, AVERAGE_DECAY)
        for name, average in averages.items():
            average += (1 - kept) * (scaled.learnt[name] - average)
    progress(settings.steps, settings.steps)
    return scaled.arrays(averages)


def gradients_of(
    scaled: ScaledMap, lesson: Lesson, target: RunningModel, *, by_tokens: bool
) -> tuple[float, dict[str, Array]]:
    """Return one lesson's divergence in nats per token, and its gradient for each scale that took part."""
    prediction = scaled.predict(lesson.source_rows, lesson.own_rows[1:] if by_tokens else None)
    memory = np.concatenate([lesson.own_rows[:1], prediction.rows])
    wanted = own_log_probabilities(target, lesson.own_rows, lesson.continuation)
    divergence, gradient = divergence_and_gradient(target, memory, lesson.continuation, wanted=wanted)
    return divergence, scaled.gradients(gradient[1:], prediction)
