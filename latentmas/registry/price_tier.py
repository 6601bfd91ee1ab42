"""The price tier of a model: how much computation one of its tokens stands for."""

from latentmas.protocol.architecture import ModelArchitecture
from latentmas.registry.facts import PriceTier

COMPACT_BELOW = 10e9  # parameters used per token
STANDARD_BELOW = 50e9


def tier_by_size(architecture: ModelArchitecture) -> PriceTier | None:
    """Return the tier that published widths give, None where they are not published.

    12 x layers x hidden size squared approximates the parameters a token passes through, of a mixture of experts too.
    """
    if architecture.num_layers is None or architecture.hidden_size is None:
        return None
    parameters = 12 * architecture.num_layers * architecture.hidden_size**2
    if parameters < COMPACT_BELOW:
        return "compact"
    return "standard" if parameters < STANDARD_BELOW else "large"
