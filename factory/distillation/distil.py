"""Distil a map of two models on calibration text of all registers, with the settings of the maps that are shipped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from factory.distillation.lessons import RECALL, Length, Reader, batches
from factory.distillation.student import Student
from factory.distillation.training import Network, Settings, distil
from factory.distillation.unfinished import Unfinished
from factory.progress import Progress
from factory.runners.model import RunningModel
from latentmas.protocol.tensors import Array

# Tokens of context and continuation, texts in a step of STEP_TOKENS, and the share of the steps.
LENGTHS = {Length(256, 64, 48): 0.55, Length(512, 64, 24): 0.12, Length(1024, 96, 16): 0.25, Length(2048, 128, 8): 0.08}
STEP_TOKENS = 18_000  # about
# Of the stretches that are drawn: little of what its tokens alone nearly tell (code), much of what people say.
SHARES = {
    "news": 2.0,
    "encyclopaedia": 4.0,
    "speeches": 3.0,
    "code": 1.5,
    "reference": 1.5,
    "headers": 1.0,
    "readmes": 1.0,
    "sampled": 2.0,
}
RECALL_SHARE = 1 / 3  # of all stretches, with facts in them
RECALLED = ("news", "encyclopaedia", "speeches", "sampled")  # registers between whose sentences statements stand
READERS = 2  # threads that tokenize


@dataclass(frozen=True, slots=True)
class Drawing:
    """How stretches are drawn: lengths by weight, and in a share `recall` of them facts that are asked for."""

    lengths: Mapping[Length, float]
    recall: float = RECALL_SHARE

    def shares(self, registers: Iterable[str]) -> dict[str, float]:
        """Return what weighs each register, and the stretches for recall."""
        shares = {name: SHARES.get(name, 1.0) for name in registers}
        return {**shares, RECALL: sum(shares.values()) * self.recall / (1 - self.recall)}


def lengths_of(step_tokens: int) -> dict[Length, float]:
    """Return LENGTHS with as many texts in a step as make about so many tokens, one at least."""
    share = step_tokens / STEP_TOKENS
    return {replace(each, texts=max(1, round(share * each.texts))): weight for each, weight in LENGTHS.items()}


def distilled(
    arrays: Mapping[str, Array],
    texts: Mapping[str, Sequence[str]],
    *,
    models: tuple[RunningModel, RunningModel],
    settings: Settings,
    progress: Progress,
    drawing: Drawing,
    unfinished: Unfinished | None = None,
) -> dict[str, Array]:
    """Return the arrays of a W-Matrix after training, encoder, decoder and correction in half precision.

    `texts` are by register. The models are on one device, with gradients through their caches. What `unfinished` keeps
    of a training of the same settings goes on. Raises InvalidInput where the texts are too short, StorageUnavailable.
    """
    source, target = models
    device = target.network.device
    shares = drawing.shares(texts)
    texts = {**texts, RECALL: [text for name in RECALLED for text in texts.get(name, ())]}
    precise = torch.get_float32_matmul_precision()
    # The map's own products; the models compute in their own precision. A processor knows no TensorFloat-32.
    torch.set_float32_matmul_precision("medium" if device.type == "cpu" else "high")
    try:
        student = Student(arrays).to(device)
        readers = [
            batches(
                texts,
                shares=shares,
                lengths=drawing.lengths,
                source=Reader(source.tokenizer, source.bos),
                target=Reader(target.tokenizer, target.bos),
                seed=settings.seed * READERS + number,
            )
            for number in range(READERS)
        ]
        networks = Network.of(source.network, source.geometry), Network.of(target.network, target.geometry)
        distil(student, readers, models=networks, settings=settings, progress=progress, unfinished=unfinished)
    finally:
        torch.set_float32_matmul_precision(precise)
    return student.arrays()
