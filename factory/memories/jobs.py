"""The job that measures how much a memory on sale keeps of its context, on the model that made it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings

from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Queue, Run, handler
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.runners.weights import find_weights
from marketplace.screening.contents import snapshots_of
from marketplace.screening.jobs import MEASURE
from marketplace.screening.screening import record_retention, rows_of

if TYPE_CHECKING:
    from factory.measurement.own_memory import OwnMemory

LONGEST = timedelta(days=1)  # with what waits in front of it


def _title(arguments: Json) -> str:
    return f"measure {arguments['artefact_id']} {arguments['version']}"


@handler(MEASURE, queue=Queue.MEASURE, deadline=LONGEST, title=_title)
def measure(run: Run) -> Json:
    """Measure a version's retention and record it; where that cannot be done, say why and record nothing.

    Raises NotFound.
    """
    artefact_id, version = run.arguments["artefact_id"], run.arguments["version"]
    artefact, row = rows_of(artefact_id, version)
    progress = run.stage("measure")
    progress(0, 1)
    result: Json = {"artefact_id": artefact_id, "version": version}
    try:
        found = _measured(artefact.model, snapshots_of(artefact, row))
    except (InvalidInput, ModelNotSupported) as error:
        return result | {"retention": None, "reason": error.message}
    kept = found.retention
    record_retention(artefact_id, version=version, retention=kept, metadata=Metadata(actor=f"job:{run.identifier}"))
    progress(1, 1)
    figures = {"value": kept.value, "low": kept.low, "high": kept.high}
    return result | {"retention": figures, "places": found.places, "tokens": found.tokens}


def _measured(name: str, snapshots: Iterable[KVSnapshot]) -> "OwnMemory":
    """Run the model on a version's one memory; it is loaded for that and let go again.

    Raises InvalidInput or ModelNotSupported with the reason where nothing can be measured.
    """
    memories = list(snapshots)
    if len(memories) != 1:
        raise InvalidInput(f"the version holds {len(memories)} memories; the retention is measured of one")
    weights = find_weights(name, cache=settings.CACHE_DIR)
    from factory.measurement import own_memory  # brings JAX and torch along
    from factory.runners.model import load_model
    from factory.session import return_freed_memory

    try:
        return own_memory.measure(memories[0], load_model(weights))
    finally:
        return_freed_memory()
