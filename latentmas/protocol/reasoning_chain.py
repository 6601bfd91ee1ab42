"""A reasoning chain: the steps of one line of thought, and the memory of a model that went all of it.

A safetensors file. The tensor `memory` is a raw snapshot or .kvz file, byte for byte; a step is its text, the place in
the context where it ends, and, where its maker kept them, the last hidden states of its latent thoughts. To go on after
a step, a model takes the memory cropped to the step's end (`cropping`).
"""

from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from latentmas.protocol import tensors
from latentmas.protocol.embedded import as_tensor, from_tensor
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array, TensorFile

KIND = "reasoning-chain"
VERSION = 1
MEMORY = "memory"
MAX_STEPS = 200
MAX_TEXT_BYTES = 1 << 18  # of all steps together; they stand in the header, which has at most a mebibyte
MAX_BYTES = 64 << 30


@dataclass(frozen=True, slots=True)
class Step:
    """`end` is how many tokens of the context had been read when the step was over.

    `thoughts` are hidden states `[thoughts, width]`, float32, or None.
    """

    text: str
    end: int
    thoughts: Array | None = None


@dataclass(frozen=True, slots=True)
class ReasoningChain:
    """Steps in their order, and the file of the memory after the last one. Raises InvalidInput for impossible steps."""

    steps: tuple[Step, ...]
    memory: bytes

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MAX_STEPS:
            raise InvalidInput(f"a chain has 1 to {MAX_STEPS} steps, not {len(self.steps)}", field="steps")
        ends = [step.end for step in self.steps]
        if ends[0] < 1 or any(later <= earlier for earlier, later in pairwise(ends)):
            raise InvalidInput("every step must end after the one before it", field="steps")
        if not all(step.text.strip() for step in self.steps):
            raise InvalidInput("a step has no text", field="steps")
        if (size := sum(len(step.text.encode()) for step in self.steps)) > MAX_TEXT_BYTES:
            raise InvalidInput(f"the steps' texts have {size} bytes; the limit is {MAX_TEXT_BYTES}", field="steps")
        widths = {step.thoughts.shape[1:] for step in self.steps if step.thoughts is not None}
        if any(len(width) != 1 for width in widths) or len(widths) > 1:
            raise InvalidInput("latent thoughts are [thoughts, width], of one width in all steps", field="thoughts")

    def until(self, count: int, *, memory: bytes) -> "ReasoningChain":
        """Return the first `count` steps with the memory that belongs to them."""
        return ReasoningChain(self.steps[:count], memory)


def write_chain(chain: ReasoningChain) -> bytes:
    """Return the chain's file; the same chain gives the same bytes."""
    arrays = {MEMORY: as_tensor(chain.memory)}
    arrays |= {
        _thoughts(place): step.thoughts.astype("<f4")
        for place, step in enumerate(chain.steps)
        if step.thoughts is not None
    }
    steps = [{"text": step.text, "end": step.end} for step in chain.steps]
    file = BytesIO()
    tensors.write(file, arrays, {"kind": KIND, "version": VERSION, "steps": steps})
    return file.getvalue()


def read_chain(file: Path | bytes | TensorFile, *, max_bytes: int = MAX_BYTES) -> ReasoningChain:
    """Return the chain in a file. Raises InvalidInput or TooLarge."""
    opened = tensors.open_tensors(file, max_bytes=max_bytes)
    document = opened.document
    if (document.get("kind"), document.get("version")) != (KIND, VERSION) or MEMORY not in opened.tensors:
        raise InvalidInput(f"this is no {KIND}: its document must say so, version {VERSION}, and hold a {MEMORY!r}")
    try:
        steps = msgspec.convert(document.get("steps"), list[_StepDocument])
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the chain's steps are malformed: {error}", field="steps") from error
    known = {MEMORY} | {_thoughts(place) for place in range(len(steps))}
    if strangers := sorted(set(opened.tensors) - known):
        raise InvalidInput(f"a {KIND} has no tensor {strangers[0]!r}")
    return ReasoningChain(
        tuple(Step(each.text, each.end, _read(opened, _thoughts(place))) for place, each in enumerate(steps)),
        from_tensor(opened, MEMORY),
    )


@dataclass(frozen=True, slots=True)
class _StepDocument:
    text: str
    end: int


def _thoughts(place: int) -> str:
    return f"thoughts.{place:04}"


def _read(opened: TensorFile, name: str) -> Any:
    return opened.read(name) if name in opened.tensors else None
