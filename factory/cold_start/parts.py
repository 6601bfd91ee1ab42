"""A measured pair in parts, for as many workers as there are: captures, statistics, the draft, scores.

Everything that one part leaves for another is a file named by its digest, so no disk is shared. A worker that dies
costs its part only.
"""

import functools as ft
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

import msgspec
from django.conf import settings

from factory.cold_start.run import default_session
from factory.session import FactorySession
from factory.slices import Slice, slices
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Queue, Run, handler, results_of
from latentmas.protocol.w_matrix import Space

if TYPE_CHECKING:  # at run time they bring JAX and torch along
    from factory.recipes.closed_form import Packs
    from factory.recipes.draft import FunctionalOrder
    from factory.recipes.results import Generated

CAPTURE, STANDARDS, STATISTICS = "factory.capture", "factory.standards", "factory.statistics"
MERGE, DRAFT, SCORE = "factory.merge-statistics", "factory.draft", "factory.score"
LONGEST = timedelta(days=2)  # with everything that waits in front of it
METADATA = Metadata(actor="job:factory.run")

_sessions: list[FactorySession] = []  # of this process: a worker keeps the models of its last part


def session_of(run: Run) -> FactorySession:
    """Return the process's session, with its progress going to this job."""
    if not _sessions:
        _sessions.append(default_session(stage=run.stage, metadata=METADATA))
    _sessions[0].stage = run.stage
    return _sessions[0]


def made_in_parts(order: "FunctionalOrder", run: Run, session: FactorySession) -> "Generated":
    """Return the pair's W-Matrix, made and measured by the workers; as `generate_measured` does it alone.

    Raises PartFailed with the problem of a part, and what `finished` raises.
    """
    from factory.recipes.draft import load_draft
    from factory.recipes.functional import finished, journal_of

    for name in (order.source, order.target):
        _capture(name, run, session)
    pair = {"source": order.source, "target": order.target}
    statistics = _statistics(pair, run, session)
    run.stage("fit")
    asked = msgspec.to_builtins(order) | {"statistics": statistics[-1] if statistics else None}
    (stored,) = results_of(run.each(DRAFT, [asked]))
    for digest in statistics:
        blobs.delete(digest)  # gigabytes that nobody needs any more
    draft = load_draft(stored)
    journal = journal_of(draft.w_matrix, draft.control, session)
    run.stage("score")
    parts = slices(settings.FACTORY_SLICES)
    for each in results_of(run.each(SCORE, [pair | stored | msgspec.to_builtins(part) for part in parts])):
        journal.take(blobs.open_blob(each["scores"]).read().decode())
    return finished(draft, order, session)


@handler(CAPTURE, queue=Queue.MEASURE, deadline=LONGEST, title=lambda part: f"capture {part['model']}")
def capture(run: Run) -> Json:
    """Capture a slice of a model's pack."""
    from factory.packs.capture import capture_pack

    session, name = session_of(run), run.arguments["model"]
    session.unload_models(keep=name)
    part = msgspec.convert(run.arguments, Slice)
    model, progress = session.model(name), run.stage(f"capture {name}")
    tokens = session.calibration_tokens
    write = ft.partial(capture_pack, model, session.corpus, calibration_tokens=tokens, progress=progress, part=part)
    return {"pack": blobs.put(write)}


@handler(STANDARDS, queue=Queue.MEASURE, deadline=LONGEST)
def standards(run: Run) -> Json:
    """Gather mean and scale of all rows of a pair."""
    from factory.recipes.statistics import store_standards

    return {"standards": store_standards(_packs(run.arguments, session_of(run)))}


@handler(STATISTICS, queue=Queue.MEASURE, deadline=LONGEST)
def gather(run: Run) -> Json:
    """Gather the Gram matrices of a slice of a pair's rows."""
    from factory.recipes.statistics import store_slice

    session = session_of(run)
    session.unload_models()
    part = msgspec.convert(run.arguments, Slice)
    packs, progress = _packs(run.arguments, session), run.stage("gather statistics")
    return {"statistics": store_slice(packs, run.arguments["standards"], part, progress=progress)}


@handler(MERGE, queue=Queue.MEASURE, deadline=LONGEST)
def merge(run: Run) -> Json:
    """Add the statistics of two slices."""
    from factory.alignment.fit import merged
    from factory.recipes.statistics import load_statistics, store_statistics

    one, other = (load_statistics(run.arguments[name]) for name in ("one", "other"))
    return {"statistics": store_statistics(merged(one, other))}


@handler(DRAFT, queue=Queue.MEASURE, deadline=LONGEST, title=lambda part: f"fit {part['source']} -> {part['target']}")
def draft(run: Run) -> Json:
    """Fit, correct and refine a pair, up to the file that is measured."""
    from factory.recipes.draft import FunctionalOrder, drafted, store_draft
    from factory.recipes.statistics import load_statistics

    given = run.arguments["statistics"]
    order = msgspec.convert(run.arguments, FunctionalOrder)
    return store_draft(drafted(order, session_of(run), statistics=None if given is None else load_statistics(given)))


@handler(SCORE, queue=Queue.MEASURE, deadline=LONGEST, title=lambda part: f"score {part['source']} -> {part['target']}")
def score(run: Run) -> Json:
    """Score a slice of the evaluation suite's passages."""
    from factory.measurement.arms import judged
    from factory.measurement.journal import line_of
    from factory.measurement.suite import score as score_part
    from factory.recipes.draft import load_draft
    from factory.recipes.functional import journal_of

    session, drafted = session_of(run), load_draft(run.arguments)
    found = score_part(
        judged(drafted.w_matrix, tokens_only=drafted.control),
        session.suite,
        msgspec.convert(run.arguments, Slice),
        models=(session.model(run.arguments["source"]), session.model(run.arguments["target"])),
        journal=journal_of(drafted.w_matrix, drafted.control, session),
        progress=run.stage("score"),
    )
    return {"scores": blobs.put_bytes("\n".join(map(line_of, found)).encode())}


def _capture(name: str, run: Run, session: FactorySession) -> None:
    """Have a model's pack captured and put on record, unless it is."""
    from factory.packs.capture import join_packs
    from factory.packs.pack import open_pack

    def join(file: BinaryIO) -> None:
        asked = [{"model": name} | msgspec.to_builtins(part) for part in slices(settings.FACTORY_SLICES)]
        run.stage(f"capture {name}")
        digests.extend(each["pack"] for each in results_of(run.each(CAPTURE, asked)))
        join_packs([open_pack(blobs.local_path(digest)) for digest in digests], file)

    digests: list[str] = []
    session.recorded(name, join, space=Space.KV_CACHE, amount=session.calibration_tokens)
    for digest in digests:
        blobs.delete(digest)  # the pack holds it


def _statistics(pair: Json, run: Run, session: FactorySession) -> list[str]:
    """Have the statistics of a pair gathered and added up in pairs; return the files, the sum last.

    Where the rows are few, none: whoever fits gathers them alone.
    """
    from factory.recipes.statistics import slices_of

    parts = slices(slices_of(_packs(pair, session), at_most=settings.FACTORY_SLICES))
    if len(parts) == 1:
        return []
    run.stage("gather statistics")
    (first,) = results_of(run.each(STANDARDS, [pair]))
    asked = [pair | first | msgspec.to_builtins(part) for part in parts]
    left = [each["statistics"] for each in results_of(run.each(STATISTICS, asked))]
    files = [first["standards"], *left]
    while len(left) > 1:
        couples = [{"one": one, "other": other} for one, other in zip(left[::2], left[1::2], strict=False)]
        sums = [each["statistics"] for each in results_of(run.each(MERGE, couples))]
        left = [*sums, *left[2 * len(couples) :]]
        files += sums
    return files


def _packs(pair: Json, session: FactorySession) -> "Packs":
    return session.pack(pair["source"]), session.pack(pair["target"])
