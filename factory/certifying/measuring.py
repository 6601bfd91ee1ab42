"""Measure a stored W-Matrix file on the public suite, as the certifier does and as anybody can again."""

from dataclasses import dataclass

from factory.measurement.arms import judged
from factory.measurement.control import fitted_control
from factory.measurement.instrument import ARMS, instrument_of
from factory.measurement.journal import Journal
from factory.measurement.suite import Measured, measure
from factory.packs.spot_check import require_sink
from factory.recipes.functional import journal_of, quality_of
from factory.session import FactorySession
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.quality import Instrument, Quality
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import WMatrix, WMatrixDocument


@dataclass(frozen=True, slots=True)
class PublicFigures:
    """What a file keeps on the public suite, and what it was measured with.

    `control` is the map of the target's tokens alone.
    """

    quality: Quality
    measured: Measured
    instrument: Instrument
    control: dict[str, Array]


def require_sound(w_matrix: WMatrix, session: FactorySession) -> None:
    """Raise unless the file is of the two models that run here: their geometry, and their own sinks.

    Raises DimensionMismatch or InvalidInput.
    """
    document = w_matrix.document
    for side, name in (("source", document.source_model), ("target", document.target_model)):
        model = session.model(name)
        came = getattr(document, f"{side}_geometry")
        if came != model.geometry:
            raise DimensionMismatch(
                f"the file's {side}_geometry is {came}; that of {name} is {model.geometry}",
                field=f"{side}_geometry",
            )
        row = w_matrix.arrays.get(f"{side}_bos")
        if row is None:
            raise InvalidInput(f"the file lacks {side}_bos, the sink of {name}", field=f"{side}_bos")
        require_sink(row, model, field=f"{side}_bos")


def measure_publicly(w_matrix: WMatrix, session: FactorySession, *, journal: bool = True) -> PublicFigures:
    """Return the file's figures on the session's suite, with the control fitted on the session's corpus.

    With a journal an interrupted measurement goes on; without one everything is measured anew. Raises InvalidInput
    where a text is missing.
    """
    document = w_matrix.document
    source, target = session.model(document.source_model), session.model(document.target_model)
    fitting = session.stage(f"fit the control of {target.name}")
    fitting(0, 1)
    control = fitted_control(target, session.corpus, w_matrix.arrays)
    fitting(1, 1)
    found = measure(
        judged(w_matrix, tokens_only=control),
        session.suite,
        source=source,
        target=target,
        journal=journal_of(w_matrix, control, session) if journal else Journal(),
        progress=session.stage(f"score {_pair(document)}"),
    )
    quality = quality_of(found, w_matrix.arrays, session.corpus)
    return PublicFigures(quality, found, instrument_of(ARMS, (source, target)), control)


def _pair(document: WMatrixDocument) -> str:
    return f"{document.source_model} -> {document.target_model}"
