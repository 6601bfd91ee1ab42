"""Teach a W-Matrix what the target makes of its own memory: KL divergence along the words that follow, by Adam.

In each step both models read a batch of stretches; the target goes on once from its own cache and once from the one
that the map predicts. A part of the steps runs without the target's first layers, for receivers that do not know the
text.
"""

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from factory.distillation.lessons import Batch
from factory.distillation.rows import BatchedRows
from factory.distillation.student import Student
from factory.distillation.unfinished import Unfinished
from factory.progress import Progress
from factory.schedule import kept_at, rate_at
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array

DECAY = (0.9, 0.99)  # of Adam's two averages
ADAMS = ("exp_avg", "exp_avg_sq")  # which torch names so
AVERAGE_DECAY = 0.998  # of the average over the steps, which is the result
WARM_UP = 0.03  # of the steps
LEAST_RATE = 0.02  # of the full rate, which falls along half a cosine
PLAIN_EVERY = 5  # steps, of which one runs without the target's first layers
LARGEST_GRADIENT = 1.0  # norm
AHEAD = 4  # batches that each reading thread has ready
KEPT_EVERY = 50  # steps, after which the training can go on where it broke off
SCORED_AT_ONCE = 64  # tokens whose logits, over a whole vocabulary, stand in memory


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
    rate: float
    seed: int = 0  # of the order of the texts


def distil(
    student: Student,
    readers: Sequence[Iterator[Batch]],
    *,
    models: tuple[Network, Network],
    settings: Settings,
    progress: Progress,
    unfinished: Unfinished | None = None,
) -> list[float]:
    """Train the student in place, and return the divergence of every step in nats a token.

    `models` are the source and the target. Each of `readers` has a thread of its own; they are taken in turn, so that
    the order does not depend on time. What was kept in `unfinished` by a training of the same settings goes on.
    """
    source, target = models
    descent = _Descent(student, settings)
    if unfinished is not None and (kept := unfinished.read()) is not None:
        descent.restore(kept)
    for batch in itertools.islice(_in_turn(readers), descent.step, settings.steps):
        if descent.step % KEPT_EVERY == 0 and unfinished is not None:
            unfinished.keep(descent.state())
        progress(descent.step, settings.steps)
        known = descent.step % PLAIN_EVERY != 0
        descent.follow(divergence_of(student, batch, source=source, target=target, known=known))
    descent.finish()
    progress(settings.steps, settings.steps)
    return descent.read()


class _Descent:
    """Adam on a student's parameters, and their average over the steps."""

    def __init__(self, student: Student, settings: Settings) -> None:
        self.step, self.divergences = 0, list[torch.Tensor]()  # not read in each step: a GPU would be waited for
        self._student, self._settings = student, settings
        self._parameters = dict(student.named_parameters())
        self._averages = {name: each.detach().clone() for name, each in self._parameters.items()}
        self._full_rates = [settings.rate * _size_of(name, each) for name, each in self._parameters.items()]
        self._adam = torch.optim.Adam([{"params": [each]} for each in self._parameters.values()], betas=DECAY)

    def follow(self, divergence: torch.Tensor) -> None:
        """Take one step down the divergence."""
        steps = self._settings.steps
        share = rate_at(self.step, steps, warm_up=max(1.0, WARM_UP * steps), least=LEAST_RATE)
        for group, full in zip(self._adam.param_groups, self._full_rates, strict=True):
            group["lr"] = share * full
        divergence.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters.values(), LARGEST_GRADIENT)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        kept = kept_at(self.step, AVERAGE_DECAY)
        with torch.no_grad():
            for name, average in self._averages.items():
                average.lerp_(self._parameters[name], 1 - kept)
        self.divergences.append(divergence.detach())
        self.step += 1

    def finish(self) -> None:
        """Leave the average over the steps in the student."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(self._averages[name])

    def read(self) -> list[float]:
        """Return the divergences so far."""
        return [each.item() for each in self.divergences]

    def state(self) -> dict[str, Array]:
        """Return all that the next step depends on, and the divergences so far."""
        kept = {"divergences": torch.tensor(self.read())}
        for name, parameter in self._parameters.items():
            kept |= {f"{name}.value": parameter, f"{name}.average": self._averages[name]}
            kept |= {f"{name}.{each}": value for each, value in self._adam.state[parameter].items()}
        return {name: value.detach().float().cpu().reshape(value.shape or 1).numpy() for name, value in kept.items()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from what `state` returned."""
        self.divergences = list(torch.tensor(state["divergences"]))
        self.step = len(self.divergences)
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(torch.tensor(state[f"{name}.value"]))
                self._averages[name].copy_(torch.tensor(state[f"{name}.average"]))
                # Adam counts a parameter's own steps: the correction learns in no plain one.
                self._adam.state[parameter] = {
                    "step": torch.tensor(state[f"{name}.step"].item()),
                    **{each: torch.tensor(state[f"{name}.{each}"], device=parameter.device) for each in ADAMS},
                }


def divergence_of(student: Student, batch: Batch, *, source: Network, target: Network, known: bool) -> torch.Tensor:
    """Return KL(target after its own memory || after the predicted one), in nats per token that follows."""
    own, states, predicted = predicted_rows(student, batch, source=source, target=target, known=known)
    following = torch.from_numpy(batch.target[:, 1 + batch.context :]).to(own.device)
    wanted, found = states[:, 1 + batch.context :], target.go_on(predicted, following)
    divergence: torch.Tensor = _Divergence.apply(  # type: ignore[no-untyped-call]
        found.flatten(0, 1), wanted.flatten(0, 1), target.log_probabilities
    )
    return divergence


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
        read = torch.from_numpy(batch.read).to(device)[..., None]
    rows = student(chosen, own[:, 1:] if known else None)
    if known:
        # Those that are read in place come out nearly as the target's own, and the others learn to go with them.
        rows = torch.where(read, own[:, 1:], rows)
    return own, states, torch.cat([own[:, :1], rows], 1)


class _Divergence(torch.autograd.Function):
    """KL(wanted || found) of what is said after hidden states `[tokens, width]`, in nats per token.

    The gradient is computed on the way there, some tokens at a time: whole logits of a step would take gigabytes.
    """

    @staticmethod
    def forward(
        context: Any, found: torch.Tensor, wanted: torch.Tensor, said: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        gradient, total = torch.empty_like(found), found.new_zeros((), dtype=torch.float32)
        for begin in range(0, len(found), SCORED_AT_ONCE):
            part = slice(begin, begin + SCORED_AT_ONCE)
            expected = said(wanted[part])  # without a graph, which only what was found needs
            with torch.enable_grad():
                states = found[part].detach().requires_grad_()
                share = nn.functional.kl_div(said(states), expected, log_target=True, reduction="sum")
                gradient[part] = torch.autograd.grad(share / len(found), states)[0]
            total += share.detach() / len(found)
        context.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return context.saved_tensors[0] * gradients[0], None, None


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
