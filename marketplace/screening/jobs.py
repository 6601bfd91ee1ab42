"""The job that screens a version before it is offered, and starts what is to be done for it where it passes.

Its retention is measured, and it is read in the tokens of the models that it may be delivered to.
"""

from datetime import timedelta

from django.utils import timezone

from latentmas.events.types import Metadata
from latentmas.jobs.commands import start
from latentmas.jobs.handlers import Json, Queue, Run, handler
from latentmas.protocol.errors import Conflict
from marketplace.artefacts.publication import SCREEN
from marketplace.artefacts.retokenising import RETOKENISE, memories_of, targets_of
from marketplace.sales.goods import Kind
from marketplace.screening.screening import rows_of, screen

MEASURE = "memory.measure"  # whoever handles this kind can run models


def _title(arguments: Json) -> str:
    return f"screen {arguments['artefact_id']} {arguments['version']}"


@handler(SCREEN, queue=Queue.WORK, deadline=timedelta(hours=6), title=_title)
def screen_version(run: Run) -> Json:
    """Screen a version, offer it or refuse it, and return what was found. Raises NotFound."""
    artefact_id, version = run.arguments["artefact_id"], run.arguments["version"]
    found = screen(artefact_id, version=version, metadata=Metadata(actor=f"job:{run.identifier}"))
    result: Json = {
        "artefact_id": artefact_id,
        "version": version,
        "offered": found.passed,
        "uniqueness": found.uniqueness,
        "duplicate_of": found.duplicate_of,
        "findings": list(found.findings),
    }
    if not found.passed:
        return result
    artefact, row = rows_of(artefact_id, version)
    if memories_of(row, Kind(artefact.kind)) and targets_of(artefact.model, at=timezone.now()):
        result |= _started(run, "retokenising", RETOKENISE, {"versions": [row.id]})  # first: it takes seconds
    return result | _started(run, "measurement", MEASURE, run.arguments)


def _started(run: Run, name: str, kind: str, arguments: Json) -> Json:
    """Have more done for a version, which is offered meanwhile."""
    try:
        job = start(kind, arguments=arguments, requested_by=run.requested_by, patient=True)
    except Conflict as error:
        return {f"{name}_job": None, f"{name}_problem": error.message}
    return {f"{name}_job": str(job.id)}
