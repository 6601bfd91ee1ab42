"""Listings to look at."""

import pytest

from latentmas.protocol.quality import Basis
from tests.marketplace import sample


@pytest.fixture
def shelf(registry):
    """Four listings of different pairs, one of each basis."""
    return {
        "simulated": sample.make_listing("gpt-4", "llama-3-8b", quality=sample.unmeasured(epsilon=0.0)),
        "declared": sample.make_listing("gpt-4", "qwen-7b", quality=sample.unmeasured(Basis.DECLARED)),
        "activation": sample.make_listing("qwen-7b", "gpt-4", quality=sample.unmeasured(Basis.ACTIVATION)),
        "functional": sample.make_listing(quality=sample.functional(0.8)),
    }
