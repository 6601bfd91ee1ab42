"""What figures are measured with, so that somebody else can measure the same."""

import hashlib

from factory.measurement.evaluation import CONTROL_SEED
from factory.runners.model import RunningModel
from latentmas.protocol.quality import Instrument, Tokenizer

# Each changes whenever the same W-Matrix would get other figures from the same text.
ARMS = "arms/3"  # with the target model, on a suite
RETRIEVAL = "retrieval/1"  # of vectors among the target's own
ROWS = "rows/1"  # on held-out activations, no model run


def instrument_of(code: str, models: tuple[RunningModel, RunningModel] | None = None) -> Instrument:
    """Return the instrument of this process; `models` are source and target where they were run."""
    if models is None:
        return Instrument(code, CONTROL_SEED, "cpu/float32")
    source, target = models
    dtype = str(target.network.dtype).removeprefix("torch.")
    numerics = f"{target.network.device.type}/{dtype}"
    return Instrument(code, CONTROL_SEED, numerics, _tokenizer(source), _tokenizer(target))


def _tokenizer(model: RunningModel) -> Tokenizer:
    template = getattr(model.tokenizer, "chat_template", None)
    definition = model.tokenizer.backend_tokenizer.to_str()
    return Tokenizer(_digest(definition), _digest(template) if isinstance(template, str) else None)


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
