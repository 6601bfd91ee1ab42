"""The tokens that the target's question attends to, over the aligned memory: it is read twice, in two stages.

The receiver first lets the model read the question after the aligned memory and notes what it attends to
(`awareness_sdk.transformers_bridge.attention_to`), then has these tokens read, and asks again.
"""

import numpy as np

from kvcache.exchange.rereading.context import Context
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

SMOOTHED = 7  # tokens: a name is read with the words around it


def score(context: Context) -> Array:
    if context.attention is None or np.shape(context.attention) != (context.tokens,):
        came = "none" if context.attention is None else f"the shape {np.shape(context.attention)}"
        raise InvalidInput(
            f"the chooser 'attention' needs what the question attends to, one number for each of {context.tokens} "
            f"tokens; it got {came}",
            resolution="Give what transformers_bridge.attention_to returned, or choose by 'words'.",
            field="chooser",
        )
    return np.convolve(context.attention, np.full(SMOOTHED, 1 / SMOOTHED), mode="same")
