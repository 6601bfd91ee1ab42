"""The job that measures what was bought on texts of the buyer's, and records what follows.

The server gives the price back by itself where even the upper end of what it finds lies below the lower end of the
certificate. Where it cannot measure, that is recorded, and the buyer may open a dispute.
"""

from datetime import timedelta

from factory.certifying.jobs import METADATA
from factory.cold_start.run import default_session
from latentmas.jobs.handlers import Json, Queue, Run, handler
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, ModelNotSupported
from marketplace.claims.acceptance_commands import record_measurement, record_not_measured
from marketplace.claims.measuring import MEASURE, Order, order_of
from marketplace.listings.errors import ListingIsQuarantined
from marketplace.listings.queries import bought_version

LONGEST = timedelta(days=1)  # with what waits in front of it


@handler(MEASURE, queue=Queue.MEASURE, deadline=LONGEST)
def measure(run: Run) -> Json:
    """Measure a purchase on its buyer's texts, and record the result or why there is none."""
    identifier = run.arguments["acceptance"]
    order = order_of(identifier)
    if order is not None:  # else a worker that died has done it
        try:
            _measure(order, run)
        except (InvalidInput, DimensionMismatch, ModelNotSupported, ListingIsQuarantined) as error:
            record_not_measured(identifier, code=error.code, metadata=METADATA)
    return {"acceptance": identifier, "url": f"/api/acceptances/{identifier}"}


def _measure(order: Order, run: Run) -> None:
    from factory.certifying.acceptance import measured_on  # brings JAX along
    from factory.certifying.examination import opened

    session = default_session(stage=run.stage, metadata=METADATA)
    try:
        examined = opened(bought_version(order.item, order.version), session)
        figures = measured_on(order, examined, session)
    finally:
        session.unload_models()
    record_measurement(order.acceptance, figures, metadata=METADATA)
