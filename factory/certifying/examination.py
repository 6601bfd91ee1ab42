"""Examine a version's file: is it what it says, and what is it worth on public and private texts?

Where the models run here, with exactly the weights that the file names, its figures are `functional`. Otherwise they
come from activations that this server captured, are `activation`, and earn no certificate.
"""

from dataclasses import dataclass
from itertools import product

from django.conf import settings

from factory.certifying.measuring import measure_publicly, require_sound
from factory.certifying.private import measure_privately
from factory.contributed import has_weights
from factory.measurement.activation import judge
from factory.measurement.instrument import ROWS, instrument_of
from factory.models import CalibrationPack
from factory.packs.pack import OpenedPack, open_pack
from factory.queries import own_packs
from factory.recipes.results import store_report
from factory.session import FactorySession
from latentmas import blobs
from latentmas.protocol.certification import refusals
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.quality import (
    Basis,
    DocumentScore,
    EvaluationReport,
    Instrument,
    LayerFidelity,
    ModelIdentity,
    PrivateCells,
    Quality,
)
from latentmas.protocol.w_matrix import Space, WMatrix, read_w_matrix
from marketplace.listings.events.certification import VersionMeasured
from marketplace.listings.models import ListingVersion


@dataclass(frozen=True, slots=True)
class Examined:
    """A version's file, opened and found to be what its version says; `runs`: both models run here with its weights."""

    row: ListingVersion
    w_matrix: WMatrix
    runs: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """What a report tells of a measurement."""

    quality: Quality
    instrument: Instrument
    layers: tuple[LayerFidelity, ...]
    documents: tuple[DocumentScore, ...]


def opened(row: ListingVersion, session: FactorySession) -> Examined:
    """Return the version's file after its structural checks.

    Raises InvalidInput or DimensionMismatch for a file that is not what it says.
    """
    w_matrix = read_w_matrix(blobs.local_path(row.file_digest), max_bytes=settings.W_MATRIX_MAX_BYTES)
    document = w_matrix.document
    for name in ("source_model", "target_model", "space", "source_weights", "target_weights"):
        came, due = getattr(document, name), getattr(row, name)
        if due not in (None, came):
            raise InvalidInput(
                f"the {name} of the file is {came}; that of its version is {due}", field=name, came=came, expected=due
            )
    sides = ((row.source_model, document.source_weights), (row.target_model, document.target_weights))
    runs = document.space is Space.KV_CACHE and all(has_weights(name, weights, session) for name, weights in sides)
    if runs:
        require_sound(w_matrix, session)
    return Examined(row, w_matrix, runs)


def measured(examined: Examined, session: FactorySession, *, rotation: int) -> VersionMeasured:
    """Return the measurement of a file on public and private texts, or on activations where its models do not run.

    Raises ModelNotSupported where neither can be done, InvalidInput where texts are missing.
    """
    if not examined.runs:
        return _on_activations(examined, session)
    found = measure_publicly(examined.w_matrix, session)
    settings_of_report = {"control": "the target's tokens alone, fitted here", "corpus": session.corpus.digest}
    figures = Figures(found.quality, found.instrument, found.measured.layers, found.measured.documents)
    cells = None
    if not refusals(found.quality):  # else no certificate depends on them
        assert found.quality.suite is not None  # the models were run
        cells = measure_privately(
            examined.row.file_digest,
            examined.w_matrix,
            found.quality.suite,
            control=found.control,
            session=session,
            rotation=rotation,
        )
    return _event(examined, figures, settings_of_report, cells)


def _on_activations(examined: Examined, session: FactorySession) -> VersionMeasured:
    source, target = _packs(examined)
    progress = session.stage("judge on held-out rows")
    found = judge(examined.w_matrix.arrays, source, target, basis=Basis.ACTIVATION, progress=progress)
    figures = Figures(found.quality, instrument_of(ROWS), found.layers, ())
    return _event(examined, figures, {"corpus": source.document.corpus_digest}, None)


def _event(
    examined: Examined, figures: Figures, settings_of_report: dict[str, str], cells: PrivateCells | None
) -> VersionMeasured:
    document, file = examined.w_matrix.document, examined.row.file_digest
    assert document.source_weights is not None  # it was compared with that of models or packs
    assert document.target_weights is not None
    report = EvaluationReport(
        ModelIdentity(document.source_model, document.source_weights),
        ModelIdentity(document.target_model, document.target_weights),
        file,
        figures.quality,
        figures.layers,
        figures.documents,
        settings_of_report,
    )
    return VersionMeasured(
        version=examined.row.version,
        file=file,
        source_weights=document.source_weights,
        target_weights=document.target_weights,
        instrument=figures.instrument,
        report=store_report(report),
        quality=figures.quality,
        made_here=False,
        private=cells,
    )


def _packs(examined: Examined) -> tuple[OpenedPack, OpenedPack]:
    """Return packs of one corpus that this server captured from the file's models and weights."""
    document = examined.w_matrix.document
    ours = own_packs(document.source_model, document.source_weights)
    theirs = own_packs(document.target_model, document.target_weights)
    for mine, other in product(ours, theirs):
        if mine.corpus_digest == other.corpus_digest and document.space is Space.KV_CACHE:
            return _open(mine), _open(other)
    raise ModelNotSupported(
        f"{document.source_model} and {document.target_model} do not both run here with the weights that the file "
        "names, and this server has captured no activations of them",
        resolution="Its figures stay declared. A file for weights that run here can be measured.",
    )


def _open(row: CalibrationPack) -> OpenedPack:
    return open_pack(blobs.local_path(row.digest))
