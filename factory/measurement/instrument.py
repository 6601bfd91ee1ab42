"""What figures are measured with, so that somebody else can measure the same."""

from typing import Any

from factory.measurement.evaluation import CONTROL_SEED
from latentmas.protocol.quality import Instrument

# Each changes whenever the same W-Matrix would get other figures from the same text.
ARMS = "arms/3"  # with the target model, on a suite
RETRIEVAL = "retrieval/1"  # of vectors among the target's own
ROWS = "rows/1"  # on held-out activations, no model run


def instrument_of(code: str, network: Any = None) -> Instrument:
    """Return the instrument of this process; `network` is a model that was run, as transformers has it."""
    if network is None:
        return Instrument(code, CONTROL_SEED, "cpu/float32")
    dtype = str(network.dtype).removeprefix("torch.")
    return Instrument(code, CONTROL_SEED, f"{network.device.type}/{dtype}")
