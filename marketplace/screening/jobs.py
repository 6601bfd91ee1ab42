"""The job that screens a version before it is offered, and has its retention measured where it passes."""

from datetime import timedelta

from latentmas.events.types import Metadata
from latentmas.jobs.commands import start
from latentmas.jobs.handlers import Json, Queue, Run, handler
from latentmas.protocol.errors import Conflict
from marketplace.artefacts.publication import SCREEN
from marketplace.screening.screening import screen

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
    return result | (_measurement(run) if found.passed else {})


def _measurement(run: Run) -> Json:
    """Have the retention measured; a version that waits for that is offered all the same."""
    try:
        job = start(MEASURE, arguments=run.arguments, requested_by=run.requested_by, patient=True)
    except Conflict as error:
        return {"measurement_job": None, "measurement_problem": error.message}
    return {"measurement_job": str(job.id)}
