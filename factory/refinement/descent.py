"""Refine a W-Matrix by gradient steps on the target's own loss: what ridge minimises is not what the target needs.

Each step lets both models read a stretch of calibration text and lowers KL(target after its own memory || target after
the aligned one) along the continuation, by Adam (Kingma and Ba 2015) on encoder, decoder, target mean and correction.
What comes out has the same form and size, so that file and cost of use stay what they were.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factory.corpora import LEE, WIKIPEDIA
from factory.progress import Progress
from factory.refinement.lessons import Lesson
from factory.runners.distillation import divergence_and_gradient, own_log_probabilities
from factory.runners.model import RunningModel
from kvcache.exchange.correction import has_correction, lagged
from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.eight_bit import MATRICES
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION

KIND = "refinement"
MAX_BYTES = 2 << 30
DECAY = (0.9, 0.99)  # of Adam's two averages
WARM_UP = 20  # steps
LEAST_RATE = 0.05  # of the full learning rate, which falls along half a cosine
BIAS_RATE = 0.2  # of the learning rate: the bias is in standard deviations of the target's features
PLAIN_EVERY = 3  # steps: one of them without the correction, which is not to become indispensable
STANDARDS = ("source_mean", "source_scale", "target_mean", "target_scale")
AVERAGES = ("exp_avg", "exp_avg_sq")  # what Adam keeps of each parameter
CHECKPOINT_STEPS = 50


@dataclass(frozen=True, slots=True)
class Refinement:
    """How long, how boldly and on what. `learning_rate` is a share of each matrix's root mean square.

    `corpora` are read beside the one that calibrates; of all of them only the calibration documents.
    """

    steps: int = 250
    learning_rate: float = 8e-4
    seed: int = 0
    corpora: tuple[str, ...] = (LEE, WIKIPEDIA)


def refine(
    arrays: Mapping[str, Array],
    lessons: Iterator[Lesson],
    *,
    target: RunningModel,
    settings: Refinement,
    checkpoint: Path,
    progress: Progress,
) -> dict[str, Array]:
    """Return the arrays of a W-Matrix (encoder and decoder as float32) after the steps asked for.

    The state is kept in `checkpoint` now and then, and the work goes on from there, over the same lessons.
    """
    standard = {name: np.asarray(arrays[name], np.float32) for name in STANDARDS}
    descent = Descent(arrays, settings)
    descent.resume(checkpoint)
    for _ in range(descent.step):
        next(lessons)
    while descent.step < settings.steps:
        progress(descent.step, settings.steps)
        by_tokens = has_correction(arrays) and descent.step % PLAIN_EVERY != 0
        _, gradients = _gradients(descent.parameters, standard, next(lessons), target, by_tokens=by_tokens)
        descent.take(gradients)
        if descent.step % CHECKPOINT_STEPS == 0:
            descent.keep(checkpoint)
    progress(settings.steps, settings.steps)
    found = descent.parameters
    moved = standard["target_mean"] + found["bias"] * standard["target_scale"]
    return dict(arrays) | {name: found[name] for name in _learning(arrays)} | {"target_mean": moved}


class Descent:
    """Adam on encoder, decoder, correction (where there is one) and `bias` `[dt]`, float32."""

    def __init__(self, arrays: Mapping[str, Array], settings: Refinement) -> None:
        import torch

        self.step = 0
        self._settings = settings
        # In C order: the fused step walks parameter, gradient and averages side by side in memory.
        self.parameters = {name: np.array(arrays[name], np.float32, order="C") for name in _learning(arrays)}
        sizes = {name: float(np.sqrt(np.mean(np.square(each)))) for name, each in self.parameters.items()}
        self.parameters["bias"] = np.zeros(arrays["target_mean"].shape, np.float32)
        self._rates = {name: settings.learning_rate * size for name, size in sizes.items()}
        self._rates["bias"] = settings.learning_rate * BIAS_RATE
        self._tensors = {name: torch.from_numpy(each) for name, each in self.parameters.items()}  # the same memory
        groups = [{"params": [self._tensors[name]], "lr": rate} for name, rate in self._rates.items()]
        self._adam = torch.optim.Adam(groups, betas=DECAY, fused=True)

    def take(self, gradients: Mapping[str, Array]) -> None:
        """Take one step down."""
        import torch

        share = _schedule(self.step, self._settings.steps)
        for group, (name, rate) in zip(self._adam.param_groups, self._rates.items(), strict=True):
            group["lr"] = rate * share
            # Without a gradient Adam leaves a parameter and its averages alone.
            given = gradients.get(name)
            gradient = None if given is None else torch.from_numpy(np.ascontiguousarray(given, np.float32))
            self._tensors[name].grad = gradient
        self._adam.step()
        self.step += 1

    def keep(self, checkpoint: Path) -> None:
        """Write everything that a step depends on, in one piece."""
        arrays = dict(self.parameters)
        for name, tensor in self._tensors.items():
            arrays |= {f"{name}.{part}": self._adam.state[tensor][part].numpy() for part in AVERAGES}
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        unfinished = checkpoint.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            tensors.write(file, arrays, {"kind": KIND, "step": self.step, "settings": plain(self._settings)})
        unfinished.replace(checkpoint)

    def resume(self, checkpoint: Path) -> None:
        """Go on from a checkpoint, if there is one of the same settings."""
        import torch

        if not checkpoint.exists():
            return
        file = tensors.open_tensors(checkpoint, max_bytes=MAX_BYTES)
        if file.document["settings"] != plain(self._settings):
            return
        self.step = int(file.document["step"])
        for name, tensor in self._tensors.items():
            self.parameters[name][...] = file.read(name)
            averages = {part: torch.from_numpy(np.array(file.read(f"{name}.{part}"))) for part in AVERAGES}
            self._adam.state[tensor] = {"step": torch.tensor(float(self.step)), **averages}


def _gradients(
    parameters: Mapping[str, Array],
    standard: Mapping[str, Array],
    lesson: Lesson,
    target: RunningModel,
    *,
    by_tokens: bool,
) -> tuple[float, dict[str, Array]]:
    """Return one lesson's divergence in nats per token, and its gradient for each parameter that took part."""
    mean, scale = standard["target_mean"], standard["target_scale"]
    source = (lesson.source_rows - standard["source_mean"]) / standard["source_scale"]
    latents = source @ parameters["encoder"]
    predicted = latents @ parameters["decoder"] + parameters["bias"]
    first = slice(target.geometry.layer_width)
    known = (lesson.own_rows[1:, first] - mean[first]) / scale[first]
    shown, innovations = _corrected(predicted, known, parameters) if by_tokens else (predicted, None)
    memory = np.concatenate([lesson.own_rows[:1], shown * scale + mean])
    wanted = own_log_probabilities(target, lesson.own_rows, lesson.continuation)
    divergence, gradient = divergence_and_gradient(target, memory, lesson.continuation, wanted=wanted)
    slope = gradient[1:] * scale
    found: dict[str, Array] = {}
    if innovations is not None:
        slope, found = _through_correction(slope, innovations, parameters, width=known.shape[1])
    return divergence, found | {
        "encoder": source.T @ (slope @ parameters["decoder"].T),
        "decoder": latents.T @ slope,
        "bias": slope.sum(axis=0),
    }


def _corrected(predicted: Array, known: Array, parameters: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return the corrected rows, standardised, and the lagged innovations (see `kvcache.exchange.correction`)."""
    width = known.shape[1]
    encoder, decoder = (parameters[rule] for rule in CORRECTION)
    innovations = lagged(known - predicted[:, :width], len(encoder) // width)
    shown = predicted + innovations @ encoder @ decoder
    shown[:, :width] = known
    return shown, innovations


def _through_correction(
    slope: Array, innovations: Array, parameters: Mapping[str, Array], *, width: int
) -> tuple[Array, dict[str, Array]]:
    """Return the gradient for the rows before their correction, and those for the correction's two matrices."""
    encoder, decoder = (parameters[rule] for rule in CORRECTION)
    slope[:, :width] = 0.0  # the first layer is given
    inner = slope @ decoder.T
    found = {CORRECTION[0]: innovations.T @ inner, CORRECTION[1]: (innovations @ encoder).T @ slope}
    back = (inner @ encoder.T).reshape(len(slope), -1, width)
    for lag in range(min(back.shape[1], len(slope))):
        slope[: len(slope) - lag, :width] -= back[lag:, lag]
    return slope, found


def _learning(arrays: Mapping[str, Array]) -> tuple[str, ...]:
    return (*MATRICES, *CORRECTION) if has_correction(arrays) else MATRICES


def _schedule(step: int, steps: int) -> float:
    """Return the share of the full learning rate: up over the first steps, then down along half a cosine."""
    falling = LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + np.cos(np.pi * step / steps))
    return float(min(1.0, (step + 1) / WARM_UP) * falling)
