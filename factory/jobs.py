"""The factory's long work: make the W-Matrix that a request asks for, and list it.

1. Open both packs. Where both models can be run here with exactly the weights of the packs, and the corpus is one that
   comes with the product, the pair is measured with the target model itself; otherwise on held-out activations.
2. Give the result the pair's next version and list it; measured figures are put to certification.
3. Remember what the inputs gave, so that the same request is answered at once. Last, because a job that is taken up
   again must not find a result that was never listed.
"""

import msgspec
from django.conf import settings

from factory import catalogue, generated
from factory.contributed.known_corpora import corpus_with
from factory.corpora import load_corpus
from factory.generated import Generated
from factory.generation import Plan, made_before, result_of
from factory.packs import CalibrationPack
from factory.runners.weights import PACKAGED, find_weights
from factory.workshop import Workshop
from latentmas.events.types import Metadata
from latentmas.jobs.handlers import Json, Run, Stage, handler
from latentmas.protocol.errors import Conflict, ModelNotSupported
from latentmas.protocol.quality import Basis
from marketplace.listings.models import ListingVersion

GENERATE = "w-matrix.generate"
TEST_SAMPLES = 1000  # least number of scored tokens where the target is run, as in the cold start
ATTEMPTS = 3  # at a version number that another run may take meanwhile


@handler(GENERATE)
def generate(run: Run) -> Json:
    """Return the specification's answer. Raises the protocol's errors."""
    plan = msgspec.convert(run.arguments, Plan, strict=False)
    metadata = Metadata(actor=run.requested_by)
    if (before := made_before(plan)) is not None:
        return result_of(before, plan)
    source, target = plan.packs()
    if _can_run(source, target):
        made, version = _measured(plan, source, target, run.stage, metadata)
    else:
        made, version = _from_packs(plan, source, target, run.stage, metadata)
    generated.remember(plan.inputs, made, cache=settings.CACHE_DIR)
    return result_of(version, plan)


def _can_run(source: CalibrationPack, target: CalibrationPack) -> bool:
    """Return whether both models are at hand with the packs' own weights, and the text to judge them on."""
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
    plan: Plan, source: CalibrationPack, target: CalibrationPack, stage: Stage, metadata: Metadata
) -> tuple[Generated, ListingVersion]:
    from factory.measured import FunctionalOrder, generate_measured

    corpus = corpus_with(digest=target.document.corpus_digest)
    assert corpus is not None
    workshop = Workshop(
        read_corpus=lambda: load_corpus(corpus.location),
        cache=settings.CACHE_DIR,
        metadata=metadata,
        stage=stage,
        packs={plan.source: source, plan.target: target},
    )
    version = catalogue.next_version(plan.source, plan.target, Basis.FUNCTIONAL)
    order = FunctionalOrder(plan.source, plan.target, version, TEST_SAMPLES, plan.unified_dimension, method=plan.method)
    try:
        made = generate_measured(order, workshop)
    finally:
        workshop.unload_models()
    return made, _list(made, metadata)


def _from_packs(
    plan: Plan, source: CalibrationPack, target: CalibrationPack, stage: Stage, metadata: Metadata
) -> tuple[Generated, ListingVersion]:
    from factory.from_packs import fit_packs, store

    fitted = fit_packs(source, target, method=plan.method, unified_dimension=plan.unified_dimension, stage=stage)
    provenance = {"source_pack": plan.source_pack, "target_pack": plan.target_pack}
    left = ATTEMPTS
    while True:
        version = catalogue.next_version(plan.source, plan.target, Basis.ACTIVATION)
        made = store(fitted, version=version, provenance=provenance)
        try:
            return made, _list(made, metadata)
        except Conflict:
            if not (left := left - 1):
                raise


def _list(made: Generated, metadata: Metadata) -> ListingVersion:
    """Return the version as it is listed. Raises Conflict where another run has published one of that number."""
    published = catalogue.publish(made, metadata=metadata)
    version = ListingVersion.objects.get(listing_id=published.listing_id, version=published.version)
    if version.file_digest != made.file:
        raise Conflict(
            f"another run has published version {made.version} of this pair meanwhile",
            resolution="Send the request again; it gets the next version.",
        )
    return version
