"""The job that makes a requested W-Matrix from two calibration packs and lists it.

1. Open both packs. Spot-check the contributed ones whose model can be run here: exactly the packs' weights and the
   text of their corpus are installed. If both can be run, measure the pair on passages that both models read here, with
   the target model itself; otherwise on the packs' held-out activations.
2. Publish the result as the pair's next version and decide about its certificate.
3. Record the result under the digest of its inputs, so that an equal request is answered at once. This comes last: a
   job that is run again must not find a result that was never listed.
"""

import functools as ft
from collections.abc import Callable
from datetime import timedelta

import msgspec
from django.conf import settings

from factory import publishing
from factory.certifying import acceptance_jobs as _acceptances  # noqa: F401 - registers its handler
from factory.certifying import jobs as _certifier  # noqa: F401 - registers its handler
from factory.cold_start import jobs as _catalogue  # noqa: F401 - registers its handlers
from factory.contributed import basis_of, require_genuine, runnable, text_of
from factory.generation import GenerationRequest, made_before, result_of
from factory.memories import jobs as _memories  # noqa: F401 - registers its handler
from factory.memories import retokenising_jobs as _tokens  # noqa: F401 - registers its handler
from factory.recipes import results
from factory.recipes.results import Generated
from factory.session import FactorySession
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Queue, Run, Stage, handler
from latentmas.protocol.certification import refusals
from latentmas.protocol.errors import Conflict
from latentmas.protocol.quality import Basis, PrivateCells
from latentmas.protocol.w_matrix import read_w_matrix
from marketplace.certification.commands import begin_attempt
from marketplace.listings.models import ListingVersion

GENERATE = "w-matrix.generate"
TEST_SAMPLES = 1000  # least number of scored tokens where the target is run, as in the cold start
LONGEST = timedelta(days=1)  # with what waits in front of it
ATTEMPTS = 3  # to publish: another run may take the version number first


@handler(GENERATE, queue=Queue.MEASURE, deadline=LONGEST)
def generate(run: Run) -> Json:
    """Make and list the W-Matrix of a request and return the answer of specification C.1. Raises LatentMASError."""
    request = msgspec.convert(run.arguments, GenerationRequest, strict=False)
    metadata = Metadata(actor=run.requested_by)
    if (before := made_before(request)) is not None:
        return result_of(before, request)
    session = _session(request, run.stage, metadata)
    try:
        made, version = _make(request, session, job=str(run.identifier))
    finally:
        session.unload_models()
    results.remember(request.inputs, made, cache=settings.CACHE_DIR)
    return result_of(version, request)


def _session(request: GenerationRequest, stage: Stage, metadata: Metadata) -> FactorySession:
    source, target = request.packs()
    return FactorySession(
        read_corpus=lambda: text_of(target.document.corpus_digest),
        cache=settings.CACHE_DIR,
        metadata=metadata,
        stage=stage,
        packs={request.source: source, request.target: target},
    )


def _make(request: GenerationRequest, session: FactorySession, *, job: str) -> tuple[Generated, ListingVersion]:
    digests = {request.source: request.source_pack, request.target: request.target_pack}
    require_genuine(digests, session, metadata=session.metadata)
    if runnable(session) == {request.source, request.target}:
        return _measured(request, session, job)
    return _from_packs(request, session)


def _measured(request: GenerationRequest, session: FactorySession, job: str) -> tuple[Generated, ListingVersion]:
    from factory.recipes.functional import generate_measured
    from factory.recipes.maps import FunctionalOrder

    version = publishing.next_version(request.source, request.target, Basis.FUNCTIONAL)
    order = FunctionalOrder(
        request.source, request.target, version, TEST_SAMPLES, request.unified_dimension, method=request.method
    )
    made = generate_measured(order, session)
    if basis_of(request.source_pack, request.target_pack) is Basis.ACTIVATION:
        return made, _list(made, session.metadata)
    # Somebody who sends packs may have tuned them to the public suite.
    return made, _list(made, session.metadata, examine=ft.partial(_examined, made, session, job))


def _from_packs(request: GenerationRequest, session: FactorySession) -> tuple[Generated, ListingVersion]:
    from factory.recipes.from_packs import fit_packs, store

    fitted = fit_packs(
        session.packs[request.source],
        session.packs[request.target],
        method=request.method,
        unified_dimension=request.unified_dimension,
        basis=basis_of(request.source_pack, request.target_pack),
        stage=session.stage,
    )
    provenance = {"source_pack": request.source_pack, "target_pack": request.target_pack}
    left = ATTEMPTS
    while True:
        version = publishing.next_version(request.source, request.target, fitted.judgement.quality.basis)
        made = store(fitted, version=version, provenance=provenance)
        try:
            return made, _list(made, session.metadata)
        except Conflict:
            if not (left := left - 1):
                raise


def _examined(made: Generated, session: FactorySession, job: str) -> PrivateCells | None:
    """Return how a listed file does on private texts; None where it earns no certificate in any case."""
    from factory.certifying.private import measure_privately
    from factory.measurement.control import fitted_control

    if refusals(made.quality):
        return None
    row = ListingVersion.objects.get(file_digest=made.file, publisher=None)  # a seller may have sent the same
    assert made.quality.suite is not None  # the target was run on it
    w_matrix = read_w_matrix(blobs.local_path(made.file))
    return measure_privately(
        made.file,
        w_matrix,
        made.quality.suite,
        control=fitted_control(session.model(made.target.name), session.corpus, w_matrix.arrays),
        session=session,
        rotation=begin_attempt(row, account=session.metadata.actor, job=job),
    )


def _list(
    made: Generated, metadata: Metadata, *, examine: Callable[[], PrivateCells | None] | None = None
) -> ListingVersion:
    """Publish a W-Matrix and return its version. Raises Conflict if another run has published that number."""
    published = publishing.publish(made, metadata=metadata, examine=examine)
    version = ListingVersion.objects.get(listing_id=published.listing_id, version=published.version)
    if version.file_digest != made.file:
        raise Conflict(
            f"another run has published version {made.version} of this pair meanwhile",
            resolution="Send the request again; it gets the next version.",
        )
    return version
