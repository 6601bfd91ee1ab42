"""The tokens-only control of a target, fitted on rows that are captured here: a certificate rests on it, too."""

from collections.abc import Iterator

import numpy as np

from awareness_sdk.first_layer import known_layers
from factory.alignment.correction import fit_tokens_only
from factory.alignment.standardise import standard_of
from factory.corpora import Split, TextCorpus
from factory.runners.model import RunningModel
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array

CONTROL_TOKENS = 10_000  # of the calibration documents, the first ones


def fitted_control(model: RunningModel, corpus: TextCorpus) -> dict[str, Array]:
    """Return the control of a model, standardised by its own rows. Raises InvalidInput where the corpus has no text."""
    rows = list(captured_rows(model, corpus))
    if not rows:
        raise InvalidInput(f"the corpus {corpus.name} has no calibration documents", field="corpus")
    width = known_width(model.geometry)
    return fit_tokens_only(rows, standard=standard_of(np.concatenate(rows)), width=width)


def captured_rows(model: RunningModel, corpus: TextCorpus) -> Iterator[Array]:
    """Yield the model's rows `[n, dt]` of the first calibration documents, BOS left out."""
    tokens = 0
    for document in corpus.part(Split.CALIBRATION):
        if tokens >= CONTROL_TOKENS:
            return
        ids = model.encode(document.text[: corpus.cut]).ids
        tokens += len(ids)
        yield model.capture(ids)[1:]


def known_width(geometry: KVGeometry) -> int:
    """Return the width of a target's first layers that a receiver computes."""
    return known_layers(geometry) * geometry.layer_width
