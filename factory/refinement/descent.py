"""Refine a W-Matrix on the target's own loss: what counts is not the error of rows but what the target makes of them.

Each step lets both models read a stretch of calibration text and lowers KL(target after its own memory || target after
the aligned one) along the continuation, by Adam (Kingma and Ba 2015) on a few scales and a bias. What comes out has the
same form and size. Stepping on the matrices themselves learns the noise of single lessons (docs/alignment.md).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from factory.corpora import LEE, WIKIPEDIA
from factory.progress import Progress
from factory.refinement.lessons import Lesson
from factory.refinement.scales import BIAS, ScaledMap
from factory.runners.distillation import divergence_and_gradient, own_log_probabilities
from factory.runners.model import RunningModel
from latentmas.protocol.tensors import Array

DECAY = (0.9, 0.99)  # of Adam's two averages
AVERAGE_DECAY = 0.98  # of the average over the steps, which is what comes out: single steps are noisy
WARM_UP = 20  # steps
LEAST_RATE = 0.05  # of the full learning rate, which falls along half a cosine
BIAS_RATE = 0.2  # of the learning rate
PLAIN_EVERY = 3  # steps: one of them without the correction, which is not to become indispensable


@dataclass(frozen=True, slots=True)
class Refinement:
    """How long, how boldly and on what. `learning_rate` is the change of a scale in one full step.

    `corpora` are read beside the one that calibrates; of all of them only the calibration documents.
    """

    steps: int = 100
    learning_rate: float = 3.2e-3
    seed: int = 0
    corpora: tuple[str, ...] = (LEE, WIKIPEDIA)


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

    scaled = ScaledMap(arrays)
    parameters = {name: torch.from_numpy(array) for name, array in scaled.learnt.items()}  # the same memory
    averages = {name: array.copy() for name, array in scaled.learnt.items()}
    groups = [{"params": [parameter]} for parameter in parameters.values()]
    adam = torch.optim.Adam(groups, betas=DECAY)
    for step in range(settings.steps):
        progress(step, settings.steps)
        by_tokens = scaled.has_correction and step % PLAIN_EVERY != 0
        _, gradients = gradients_of(scaled, next(lessons), target, by_tokens=by_tokens)
        rate = settings.learning_rate * _schedule(step, settings.steps)
        for group, (name, parameter) in zip(adam.param_groups, parameters.items(), strict=True):
            group["lr"] = rate * (BIAS_RATE if name == BIAS else 1.0)
            # Without a gradient Adam leaves a parameter and its averages alone.
            parameter.grad = torch.from_numpy(gradients[name]) if name in gradients else None
        adam.step()
        kept = min(AVERAGE_DECAY, (step + 1) / (step + 10))  # the first steps are not to be remembered for long
        for name, average in averages.items():
            average += (1 - kept) * (scaled.learnt[name] - average)
    progress(settings.steps, settings.steps)
    return scaled.arrays(averages)


def gradients_of(
    scaled: ScaledMap, lesson: Lesson, target: RunningModel, *, by_tokens: bool
) -> tuple[float, dict[str, Array]]:
    """Return one lesson's divergence in nats per token, and its gradient for each scale that took part."""
    width = target.geometry.layer_width
    prediction = scaled.predict(lesson.source_rows, lesson.own_rows[1:, :width], by_tokens=by_tokens)
    aligned = prediction.rows * scaled.target_scale + scaled.target_mean
    memory = np.concatenate([lesson.own_rows[:1], aligned])
    wanted = own_log_probabilities(target, lesson.own_rows, lesson.continuation)
    divergence, gradient = divergence_and_gradient(target, memory, lesson.continuation, wanted=wanted)
    return divergence, scaled.gradients(gradient[1:] * scaled.target_scale, prediction, width=width)


def _schedule(step: int, steps: int) -> float:
    """Return the share of the full learning rate: up over the first steps, then down along half a cosine."""
    falling = LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + np.cos(np.pi * step / steps))
    return float(min(1.0, (step + 1) / WARM_UP) * falling)
