"""The job that makes a requested W-Matrix from two calibration packs and lists it.

1. Open both packs. If both models can be run here with exactly the packs' weights, and the corpus comes with the
   product, measure the pair with the target model itself; otherwise on held-out activations.
2. Publish the result as the pair's next version and decide about its certificate.
3. Record the result under the digest of its inputs, so that an equal request is answered at once. This comes last: a
   job that is run again must not find a result that was never listed.
"""

import msgspec
from django.conf import settings

from factory import publishing
from factory.corpora import corpus_with, load_corpus
from factory.generation import GenerationRequest, made_before, result_of
from factory.packs.pack import OpenedPack
from factory.recipes import results
from factory.recipes.results import Generated
from factory.runners.weights import PACKAGED, find_weights
from factory.session import FactorySession
from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Run, Stage, handler
from latentmas.protocol.errors import Conflict, ModelNotSupported
from latentmas.protocol.quality import Basis
from marketplace.listings.models import ListingVersion

GENERATE = "w-matrix.generate"
TEST_SAMPLES = 1000  # least number of scored tokens where the target is run, as in the cold start
ATTEMPTS = 3  # to publish: another run may take the version number first


@handler(GENERATE)
def generate(run: Run) -> Json:
    """Make and list the W-Matrix of a request and return the answer of specification C.1. Raises LatentMASError."""
    request = msgspec.convert(run.arguments, GenerationRequest, strict=False)
    metadata = Metadata(actor=run.requested_by)
    if (before := made_before(request)) is not None:
        return result_of(before, request)
    source, target = request.packs()
    if _can_run(source, target):
        made, version = _measured(request, source, target, run.stage, metadata)
    else:
        made, version = _from_packs(request, source, target, run.stage, metadata)
    results.remember(request.inputs, made, cache=settings.CACHE_DIR)
    return result_of(version, request)


def _can_run(source: OpenedPack, target: OpenedPack) -> bool:
    """Return whether both models, with the packs' own weights, and the packs' corpus are installed here."""
    if corpus_with(digest=target.document.corpus_digest) is None:
        return False
    try:
        return all(
            each.document.model in PACKAGED
            and find_weights(each.document.model, cache=settings.CACHE_DIR).digest == each.document.weights
            for each in (source, target)
        )
    except ModelNotSupported:  # the extra `models` is not installed
        return False


def _measured(
    request: GenerationRequest, source: OpenedPack, target: OpenedPack, stage: Stage, metadata: Metadata
) -> tuple[Generated, ListingVersion]:
    from factory.recipes.functional import FunctionalOrder, generate_measured

    corpus = corpus_with(digest=target.document.corpus_digest)
    assert corpus is not None
    session = FactorySession(
        read_corpus=lambda: load_corpus(corpus.location),
        cache=settings.CACHE_DIR,
        metadata=metadata,
        stage=stage,
        packs={request.source: source, request.target: target},
    )
    version = publishing.next_version(request.source, request.target, Basis.FUNCTIONAL)
    order = FunctionalOrder(
        request.source, request.target, version, TEST_SAMPLES, request.unified_dimension, method=request.method
    )
    try:
        made = generate_measured(order, session)
    finally:
        session.unload_models()
    return made, _list(made, metadata)


def _from_packs(
    request: GenerationRequest, source: OpenedPack, target: OpenedPack, stage: Stage, metadata: Metadata
) -> tuple[Generated, ListingVersion]:
    from factory.recipes.from_packs import fit_packs, store

    fitted = fit_packs(source, target, method=request.method, unified_dimension=request.unified_dimension, stage=stage)
    provenance = {"source_pack": request.source_pack, "target_pack": request.target_pack}
    left = ATTEMPTS
    while True:
        version = publishing.next_version(request.source, request.target, Basis.ACTIVATION)
        made = store(fitted, version=version, provenance=provenance)
        try:
            return made, _list(made, metadata)
        except Conflict:
            if not (left := left - 1):
                raise


def _list(made: Generated, metadata: Metadata) -> ListingVersion:
    """Publish a W-Matrix and return its version. Raises Conflict if another run has published that number."""
    published = publishing.publish(made, metadata=metadata)
    version = ListingVersion.objects.get(listing_id=published.listing_id, version=published.version)
    if version.file_digest != made.file:
        raise Conflict(
            f"another run has published version {made.version} of this pair meanwhile",
            resolution="Send the request again; it gets the next version.",
        )
    return version
