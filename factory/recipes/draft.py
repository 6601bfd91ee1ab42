"""Draft a W-Matrix between two models that can be run: everything up to the file that is to be measured.

Its map comes with the project or is fitted here (`factory.recipes.maps`); then forecasts, and the control.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from factory.alignment.correction import fit_tokens_only
from factory.alignment.fit import PairStatistics
from factory.alignment.standardise import Standard
from factory.corpora import Split
from factory.measurement.control import CONTROL_TOKENS, captured_rows, control_width
from factory.measurement.passages import Passage
from factory.measurement.suite import passages_in, reader
from factory.packs.pairs import target_rows
from factory.packs.spot_check import require_sink
from factory.recipes.assembly import Origin, assemble, read_back
from factory.recipes.closed_form import CORRECTION_ROWS
from factory.recipes.forecast import FORECAST_TOKENS, Example, examples_of, fit_forecasts
from factory.recipes.maps import FunctionalOrder, Mapped, distilled_map, map_of
from factory.session import FactorySession
from kvcache.exchange.mapping import open_map, open_w_matrix
from kvcache.exchange.quality import calibrated, snapshot_distance
from latentmas import blobs
from latentmas.protocol import tensors
from latentmas.protocol.eight_bit import MATRICES
from latentmas.protocol.quality import Basis, ModelIdentity
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import CORRECTION, QualityMetrics, TokenAlignment, WMatrix, read_w_matrix

MAX_BYTES = 1 << 30  # of a file of a draft


@dataclass(frozen=True, slots=True)
class Draft:
    """A W-Matrix as read back from its file, with provisional metrics, and what is needed to measure and record it."""

    w_matrix: WMatrix
    control: dict[str, Array]  # the map of the target's tokens alone
    dimension: int
    settings: dict[str, str]


def drafted(order: FunctionalOrder, session: FactorySession, *, statistics: PairStatistics | None = None) -> Draft:
    """Draft a pair's W-Matrix; `statistics` of its packs are taken where they are given.

    Raises ModelNotSupported, InvalidInput (corpus too small, a sink is not the model's) or StorageUnavailable.
    """
    mapped = map_of(order, session, statistics=statistics)
    arrays = mapped.arrays
    for side, name in (("source_bos", order.source), ("target_bos", order.target)):
        require_sink(arrays[side], session.model(name), field=side)
    w_matrix = _with_forecasts(_draft(mapped, order, session), mapped.passages, order, session)
    standard = Standard(arrays["target_mean"], arrays["target_scale"])
    width = control_width(arrays, session.model(order.target).geometry)
    control = fit_tokens_only(_control_rows(order, session), standard=standard, width=width)
    return Draft(w_matrix, control, len(arrays["latent_scale"]), mapped.settings)


def store_draft(draft: Draft) -> dict[str, Any]:
    """Store a draft's files and return what `load_draft` takes. Raises StorageUnavailable."""
    document = {"dimension": draft.dimension, "settings": draft.settings}
    return {
        "w_matrix": blobs.put(draft.w_matrix.write),
        "beside": blobs.put(lambda file: tensors.write(file, draft.control, document)),
    }


def load_draft(stored: Mapping[str, Any]) -> Draft:
    """Return a stored draft. Raises NotFound where a file is gone."""
    beside = tensors.open_tensors(blobs.local_path(stored["beside"]), max_bytes=MAX_BYTES)
    control = {name: beside.read(name) for name in beside.tensors}
    document: Any = beside.document
    w_matrix = read_w_matrix(blobs.local_path(stored["w_matrix"]), max_bytes=MAX_BYTES)
    return Draft(w_matrix, control, int(document["dimension"]), dict(document["settings"]))


def cost_of(arrays: Mapping[str, Array]) -> int:
    """Return the multiply-adds that a token takes."""
    return sum(arrays[name].size for name in (*MATRICES, *CORRECTION))


def _draft(mapped: Mapped, order: FunctionalOrder, session: FactorySession) -> WMatrix:
    """Return the W-Matrix to evaluate, read back from its file.

    Its metrics are provisional: the retention on the selection documents.
    """
    latent_map = open_map(mapped.arrays)
    source, target = session.model(order.source), session.model(order.target)
    origin = Origin(
        version=order.version,
        source=ModelIdentity(source.name, source.weights),
        target=ModelIdentity(target.name, target.weights),
        method=order.method,
        token_alignment=TokenAlignment.CAUSAL_SPANS,
        geometries=(source.geometry, target.geometry),
        distribution=calibrated([snapshot_distance(passage.source_rows, latent_map) for passage in mapped.passages]),
    )
    metrics = QualityMetrics(Basis.FUNCTIONAL, mapped.kept, mapped.kept, cost_of(mapped.arrays))
    return read_back(assemble(mapped.arrays, metrics, origin))


def _with_forecasts(draft: WMatrix, choices: list[Passage], order: FunctionalOrder, session: FactorySession) -> WMatrix:
    """Return the W-Matrix with what its document says of single memories."""
    opened = open_w_matrix(draft, explain=True)
    source, target = session.model(order.source), session.model(order.target)
    read, cells = reader(source, target, continuation=FORECAST_TOKENS), session.foreign
    passages = itertools.chain(choices, *(passages_in(cell, read) for cell in cells))
    total = len(choices) + sum(cell.wanted for cell in cells)
    progress = session.stage(f"forecast {order.source} -> {order.target}")
    examples: list[Example] = []
    for number, passage in enumerate(passages):
        progress(number, total)
        examples += examples_of(passage, opened, target=target)
    progress(total, total)
    return WMatrix(replace(draft.document, forecasts=fit_forecasts(examples)), draft.arrays)


def _control_rows(order: FunctionalOrder, session: FactorySession) -> Iterator[Array]:
    """Yield the target's calibration rows `[n, dt]`, captured here: the certificate rests on the control, too.

    They are those of the first documents, as many as a correction is fitted on.
    """
    if order.target in session.packs or distilled_map(order, session):
        tokens = CONTROL_TOKENS if order.target in session.packs else CORRECTION_ROWS
        yield from captured_rows(session.model(order.target), session.corpus, tokens=tokens)
        return
    rows = 0
    for found in target_rows(session.pack(order.target), Split.CALIBRATION):
        if rows >= CORRECTION_ROWS:
            return
        rows += len(found)
        yield found
