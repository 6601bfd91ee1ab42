"""Teach a W-Matrix what the target makes of its own memory: KL divergence along the words that follow, by Adam.

In each step both models read a batch of stretches; the target goes on once from its own cache and once from the one
that the map predicts. A part of the steps runs without the target's first layers, for receivers that do not know the
text.
"""

import functools as ft
import itertools
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from factory.distillation.lessons import Batch
from factory.distillation.rows import BatchedRows
from factory.distillation.student import Student
from factory.progress import Progress
from factory.schedule import kept_at, rate_at
from latentmas.protocol.geometry import KVGeometry

DECAY = (0.9, 0.99)  # of Adam's two averages
AVERAGE_DECAY = 0.998  # of the average over the steps, which is the result
WARM_UP = 0.03  # of the steps
LEAST_RATE = 0.02  # of the full rate, which falls along half a cosine
PLAIN_EVERY = 5  # steps, of which one runs without the target's first layers
LARGEST_GRADIENT = 1.0  # norm
AHEAD = 4  # batches that each reading thread has ready


@dataclass(frozen=True, slots=True)
class Network:
    """A causal language model on a device, and how its caches become rows."""

    model: Any  # transformers' causal LM; its classes are not typed
    geometry: KVGeometry
    rows: BatchedRows

    @classmethod
    def of(cls, model: Any, geometry: KVGeometry) -> "Network":
        return cls(model, geometry, BatchedRows(geometry, device=model.device))

    def read(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows `[texts, tokens, width]` of BOS and the tokens, float32, and the last hidden states."""
        from transformers import DynamicCache

        cache: DynamicCache = DynamicCache()
        output = self.model.model(ids, past_key_values=cache, use_cache=True)
        return self.rows.rows_of([(layer.keys, layer.values) for layer in cache.layers]), output.last_hidden_state

    def go_on(self, rows: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states of tokens that are read after the rows."""
        cache = self.rows.cache_of(rows, self.model.dtype)
        first = rows.shape[1]
        positions = torch.arange(first, first + ids.shape[1], device=ids.device)[None].expand_as(ids)
        output = self.model.model(ids, past_key_values=cache, position_ids=positions, use_cache=True)
        states: torch.Tensor = output.last_hidden_state
        return states

    def log_probabilities(self, states: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.model.lm_head(states).float(), -1)


@dataclass(frozen=True, slots=True)
class Settings:
    """`rate` is the change of a matrix in one full step, in root mean squares of its entries."""

    steps: int
    rate: float = 0.012
    seed: int = 0  # of the order of the texts


def distil(
    student: Student,
    readers: Sequence[Iterator[Batch]],
    *,
    source: Network,
    target: Network,
    settings: Settings,
    progress: Progress,
) -> list[float]:
    """Train the student in place, and return the divergence of every step in nats a token.

    Each of `readers` has a thread of its own; they are taken in turn, so that the order does not depend on time.
    """
    groups = [
        {"params": [parameter], "lr": settings.rate * _size_of(name, parameter)}
        for name, parameter in student.named_parameters()
    ]
    adam = torch.optim.Adam(groups, betas=DECAY)
    warm_up = max(1.0, WARM_UP * settings.steps)
    rate = ft.partial(rate_at, steps=settings.steps, warm_up=warm_up, least=LEAST_RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, rate)
    averages = {name: parameter.detach().clone() for name, parameter in student.named_parameters()}
    divergences: list[torch.Tensor] = []
    for step, batch in enumerate(itertools.islice(_in_turn(readers), settings.steps)):
        if step % 50 == 0:
            progress(step, settings.steps)
        divergence = divergence_of(student, batch, source=source, target=target, known=step % PLAIN_EVERY != 0)
        divergence.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), LARGEST_GRADIENT)
        adam.step()
        schedule.step()
        adam.zero_grad(set_to_none=True)
        kept = kept_at(step, AVERAGE_DECAY)
        with torch.no_grad():
            for name, parameter in student.named_parameters():
                averages[name].lerp_(parameter, 1 - kept)
        divergences.append(divergence.detach())
    with torch.no_grad():
        for name, parameter in student.named_parameters():
            parameter.copy_(averages[name])
    progress(settings.steps, settings.steps)
    return torch.stack(divergences).tolist() if divergences else []


def divergence_of(student: Student, batch: Batch, *, source: Network, target: Network, known: bool) -> torch.Tensor:
    """Return KL(target after its own memory || after the predicted one), in nats per token that follows."""
    own, states, predicted = predicted_rows(student, batch, source=source, target=target, known=known)
    following = torch.from_numpy(batch.target[:, 1 + batch.context :]).to(own.device)
    with torch.no_grad():
        wanted = target.log_probabilities(states[:, 1 + batch.context :])
    found = target.log_probabilities(target.go_on(predicted, following))
    return nn.functional.kl_div(found, wanted, log_target=True, reduction="none").sum(-1).mean()


def predicted_rows(
    student: Student, batch: Batch, *, source: Network, target: Network, known: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the target's own rows, its hidden states and the predicted rows, its BOS entry in front."""
    device = student.bias.device
    with torch.no_grad():
        theirs, _ = source.read(torch.from_numpy(batch.source).to(device))
        own, states = target.read(torch.from_numpy(batch.target).to(device))
        own = own[:, : 1 + batch.context]
        pairs = torch.from_numpy(batch.pairs).to(device)
        chosen = theirs.gather(1, pairs[..., None].expand(-1, -1, theirs.shape[2]))
    rows = student(chosen, own[:, 1:] if known else None)
    return own, states, torch.cat([own[:, :1], rows], 1)


def _in_turn(readers: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """Yield the readers' batches in turn, each read ahead in a thread of its own."""
    waiting = [queue.Queue[Batch | Exception](AHEAD) for _ in readers]

    def fill(reader: Iterator[Batch], into: "queue.Queue[Batch | Exception]") -> None:
        try:
            for batch in reader:
                into.put(batch)
        except Exception as error:  # raised again where the batch was wanted
            into.put(error)

    for reader, into in zip(readers, waiting, strict=True):
        threading.Thread(target=fill, args=(reader, into), daemon=True).start()
    for each in itertools.cycle(waiting):
        found = each.get()
        if isinstance(found, Exception):
            raise found
        yield found


def _size_of(name: str, parameter: nn.Parameter) -> float:
    """Return the root mean square of a matrix; the bias is in standard deviations and begins at zero."""
    return 0.1 if name == "bias" else float(parameter.detach().square().mean().sqrt())
