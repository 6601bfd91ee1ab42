"""The factory's own jobs: one run through all planned pairs, whose parts are the pairs.

The schedule starts a run every week and `make run` the first one. New pairs come first, then those whose certificate
ends within 30 days, then the others, of which most are found ready. What the run came to is an event.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from django.utils import timezone

from factory.cold_start import planner
from factory.cold_start.parts import LONGEST, METADATA, made_in_parts, session_of
from factory.cold_start.planner import PlannedPair
from factory.cold_start.run import DEFAULTS, candidates, default_session, distilled_pairs, make
from factory.events import FactoryRunFinished, MadePair, UnmadePair
from factory.publishing import SELLER, tier_of
from factory.session import FactorySession
from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.jobs.commands import start
from latentmas.jobs.handlers import Ended, Json, Queue, Run, handler
from latentmas.jobs.models import OPEN, Job
from latentmas.jobs.queries import FACTORY, jobs_of
from latentmas.protocol.errors import DeadlineExceeded
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space
from marketplace.listings.aggregate import listing_id_for
from marketplace.listings.certificates.decisions import RENEWAL
from marketplace.listings.models import Listing

RUN, MEASURED, SIMULATED = "factory.run", "factory.measured-pair", "factory.simulated-pair"
# Of the time of a measured pair on one worker.
SHARES = {"capture": 0.1, "gather": 0.06, "fit": 0.2, "score": 0.64}


def start_run(*, hours: int) -> Job:
    """Return the run that is under way, or start one that begins no pair after so many hours."""
    under_way = jobs_of(FACTORY).filter(kind=RUN, state__in=OPEN).first()
    if under_way is not None:
        return under_way
    at = timezone.now()
    pairs = {basis: [_named(pair) for pair in due(at=at) if pair.basis is basis] for basis in Basis}
    arguments = {
        "until": (at + timedelta(hours=hours)).isoformat(),
        "simulated": pairs[Basis.SIMULATED],
        "measured": pairs[Basis.FUNCTIONAL],
    }
    return start(RUN, arguments=arguments, requested_by=FACTORY)


def due(*, at: datetime) -> list[PlannedPair]:
    """Return the planned pairs that are not listed, then those to be renewed, then the other measured ones."""
    listed = {listing.id: listing for listing in Listing.objects.filter(seller=SELLER)}

    def rank(pair: PlannedPair) -> int:
        listing = listed.get(_listing_id(pair.source.name, pair.target.name, pair.basis))
        return 0 if listing is None else 2 - _ends_soon(listing, at=at)

    models = candidates(None)
    pairs = planner.plan(models, planner.Limits(), distilled=distilled_pairs(models))
    return sorted((pair for pair in pairs if pair.basis is Basis.FUNCTIONAL or rank(pair) == 0), key=rank)


@handler(RUN, queue=Queue.WORK, deadline=LONGEST, title=lambda _: "filling the catalogue")
def run_factory(run: Run) -> Json:
    """Make the pairs that the run was started for, record the report as an event, and return its counts."""
    simulated, measured = run.arguments["simulated"], run.arguments["measured"]
    run.stage("simulated pairs")
    ended = run.each(SIMULATED, simulated)
    run.stage("measured pairs")
    ended += run.each(MEASURED, [pair | {"until": run.arguments["until"]} for pair in measured])
    report = _report([*simulated, *measured], ended)
    with suppress(VersionConflict):  # an earlier try of this job has recorded it
        stream = f"factory-run/{run.identifier}"
        store.append(store.New(stream, [report], expected=0), metadata=METADATA)
    return {"made": len(report.made), "not_made": len(report.not_made)}


@handler(SIMULATED, queue=Queue.WORK, title=lambda pair: f"{pair['source']} to {pair['target']}, simulated")
def simulate(run: Run) -> Json:
    """Make and publish one simulated pair."""
    return _make(run, Basis.SIMULATED, default_session(stage=run.stage, metadata=METADATA))


@handler(
    MEASURED,
    queue=Queue.MEASURE,
    deadline=LONGEST,
    title=lambda pair: f"{pair['source']} to {pair['target']}",
    shares=SHARES,
)
def measure(run: Run) -> Json:
    """Make, measure and publish one pair, unless the run's time is over. Raises DeadlineExceeded."""
    if timezone.now() >= datetime.fromisoformat(run.arguments["until"]):
        raise DeadlineExceeded("the factory's run was over before this pair was begun; the next run makes it")
    session = session_of(run)
    made = _make(run, Basis.FUNCTIONAL, session)
    session.unload_models()
    return made


def _make(run: Run, basis: Basis, session: FactorySession) -> Json:
    source, target = candidates([run.arguments["source"], run.arguments["target"]])
    listing = Listing.objects.filter(id=_listing_id(source.name, target.name, basis)).first()
    anew = listing is not None and _ends_soon(listing, at=timezone.now())
    outcome = make(
        PlannedPair(source, target, basis),
        DEFAULTS,
        session=session,
        metadata=METADATA,
        anew=anew,
        measured=lambda order: made_in_parts(order, run, session),
    )
    assert outcome.published is not None
    tier, _ = tier_of(outcome.published.decision)
    made = MadePair(source.name, target.name, basis, outcome.published.version, tier, was_ready=outcome.was_ready)
    return msgspec.to_builtins(made)  # type: ignore[no-any-return]


def _report(pairs: Sequence[Json], ended: Sequence[Ended]) -> FactoryRunFinished:
    made, not_made = [], []
    for pair, end in zip(pairs, ended, strict=True):
        if end.result is not None:
            made.append(msgspec.convert(end.result, MadePair))
        else:
            problem = end.problem or {}
            code, why = problem.get("code", "CANCELLED"), problem.get("detail", "it was cancelled")
            not_made.append(UnmadePair(pair["source"], pair["target"], code, why))
    return FactoryRunFinished(made, not_made)


def _ends_soon(listing: Listing, *, at: datetime) -> bool:
    return listing.certified_until is not None and listing.certified_until < at + RENEWAL


def _listing_id(source: str, target: str, basis: Basis) -> str:
    return listing_id_for(source=source, target=target, seller=SELLER, basis=basis, space=Space.KV_CACHE)


def _named(pair: PlannedPair) -> Json:
    return {"source": pair.source.name, "target": pair.target.name}
