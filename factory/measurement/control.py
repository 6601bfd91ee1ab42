"""The tokens-only control of a target, fitted on rows that are captured here: a certificate rests on it, too."""

from collections.abc import Iterator, Mapping

import numpy as np

from awareness_sdk.first_layer import known_layers
from factory.alignment.correction import fit_tokens_only
from factory.alignment.standardise import standard_of
from factory.corpora import Split, TextCorpus
from factory.runners.model import RunningModel
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import corrected_layers

CONTROL_TOKENS = 10_000  # of the calibration documents, the first ones


def fitted_control(model: RunningModel, corpus: TextCorpus, judged: Mapping[str, Array]) -> dict[str, Array]:
    """Return the control beside the `judged` arrays, which knows the layers that they know.

    It is standardised by the model's own rows. Raises InvalidInput where the corpus has no text.
    """
    rows = list(captured_rows(model, corpus))
    if not rows:
        raise InvalidInput(f"the corpus {corpus.name} has no calibration documents", field="corpus")
    width = control_width(judged, model.geometry)
    return fit_tokens_only(rows, standard=standard_of(np.concatenate(rows)), width=width)


def captured_rows(model: RunningModel, corpus: TextCorpus, *, tokens: int = CONTROL_TOKENS) -> Iterator[Array]:
    """Yield the model's rows `[n, dt]` of the first calibration documents, BOS left out, about so many tokens."""
    read = 0
    for document in corpus.part(Split.CALIBRATION):
        if read >= tokens:
            return
        ids = model.encode(document.text[: corpus.cut]).ids
        read += len(ids)
        yield model.capture(ids)[1:]


def control_width(judged: Mapping[str, Array], target: KVGeometry) -> int:
    """Return the width of the first layers that a map's correction takes; without one, that of a map made here."""
    return (corrected_layers(judged, target) or known_layers(target)) * target.layer_width
