"""Run a cold start (specification 3): find the models to plan with, make each planned pair once, publish on request."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from django.conf import settings

from factory import publishing
from factory.cold_start.planner import Candidate, PlannedPair
from factory.corpora import BROAD, TextCorpus, corpus_with, load_corpus
from factory.corpora.suite import CORE, load_suite
from factory.distillation.maps import find_map
from factory.packs.capture import CALIBRATION_TOKENS
from factory.progress import Stage
from factory.publishing import PublishedVersion
from factory.recipes import results
from factory.recipes.results import Generated
from factory.session import FactorySession
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, LatentMASError, ModelNotSupported
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Method
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model
from latentmas.runners.weights import PACKAGED, packaged_digest

if TYPE_CHECKING:
    from factory.recipes.maps import FunctionalOrder

REFINEMENT_STEPS = 120  # more gave no more in the trials


@dataclass(frozen=True, slots=True)
class ColdStartOptions:
    test_samples: int
    publish: bool
    unified_dimension: int | None = None
    method: Method = Method.LEARNED
    refinement_steps: int = 0
    eight_bit: bool = False
    distilled: bool = False  # take a pair's distilled map, where there is one; the settings above are for the others


DEFAULTS = ColdStartOptions(test_samples=1000, publish=True, refinement_steps=REFINEMENT_STEPS, distilled=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one planned pair: a W-Matrix, perhaps published, or the problem that prevented it."""

    pair: PlannedPair
    generated: Generated | None = None
    published: PublishedVersion | None = None
    problem: LatentMASError | None = None
    was_ready: bool = False  # made by an earlier run


def candidates(names: list[str] | None) -> list[Candidate]:
    """Return the active models to plan with, or those of `names`. Raises ModelNotSupported or InvalidInput."""
    if names is None:
        return [_candidate(model) for model in RegisteredModel.objects.filter(active=True).order_by("name")]
    chosen = {model.name: model for model in (get_model(name, require_active=True) for name in names)}
    if len(chosen) < 2:
        raise InvalidInput(
            f"{', '.join(names)} is one model; source and target must be two different ones", field="models"
        )
    return [_candidate(model) for model in chosen.values()]


def distilled_pairs(models: Sequence[Candidate]) -> set[tuple[str, str]]:
    """Return the pairs of installed models whose weights a distilled map is of, by name; nothing is converted."""
    weights = {}
    for model in models:
        with suppress(ModelNotSupported):  # it can be run where it is installed
            if model.can_run:
                weights[model.name] = packaged_digest(model.name)
    pairs = permutations(weights, 2)
    return {pair for pair in pairs if find_map(*map(weights.__getitem__, pair), cache=settings.CACHE_DIR)}


def run(
    pairs: Sequence[PlannedPair], options: ColdStartOptions, *, session: FactorySession, metadata: Metadata
) -> Iterator[Outcome]:
    """Make and publish the pairs, those that take seconds first, otherwise in order.

    A pair's error becomes its outcome's `problem` and does not stop the run.
    """
    for pair in sorted(pairs, key=lambda pair: pair.basis is Basis.FUNCTIONAL):
        try:
            yield make(pair, options, session=session, metadata=metadata)
        except LatentMASError as problem:
            yield Outcome(pair, problem=problem)


def _candidate(model: RegisteredModel) -> Candidate:
    return Candidate(
        name=model.name,
        family=model.family,
        popularity=model.popularity,
        kv_width=model.kv_width,
        latent_dimension=model.latent_dimension,
        can_run=model.name in PACKAGED,
    )


def make(
    pair: PlannedPair,
    options: ColdStartOptions,
    *,
    session: FactorySession,
    metadata: Metadata,
    anew: bool = False,
    measured: "Callable[[FunctionalOrder], Generated] | None" = None,
) -> Outcome:
    """Make one pair, unless it was made from the same inputs before and need not be made `anew`; publish on request.

    `measured` makes a pair that is measured; by default this process does it alone. Raises LatentMASError.
    """
    inputs = _inputs(pair, options, session)
    result = None if anew else results.recall(inputs, cache=session.cache)
    was_ready = result is not None
    if result is None:
        if pair.basis is Basis.SIMULATED:
            result = _simulated(pair, options)
        else:
            result = (measured or _alone(session))(_order(pair, options))
        results.remember(inputs, result, cache=session.cache)
    published = publishing.publish(result, metadata=metadata) if options.publish else None
    return Outcome(pair, result, published, was_ready=was_ready)


def default_session(
    *,
    stage: Stage,
    metadata: Metadata,
    corpus: TextCorpus | None = None,
    suite: str = CORE,
    tokens: int = CALIBRATION_TOKENS,
) -> FactorySession:
    """Return a session on a corpus, by default the broad one, which is read only where a model is run."""
    known = corpus_with(name=BROAD)
    return FactorySession(
        read_corpus=lambda: corpus or load_corpus(BROAD),
        recorded_digest=None if corpus or known is None else known.digest,
        cache=settings.CACHE_DIR,
        metadata=metadata,
        stage=stage,
        calibration_tokens=tokens,
        read_suite=lambda: load_suite(suite),
    )


def _simulated(pair: PlannedPair, options: ColdStartOptions) -> Generated:
    from factory.recipes.simulated import SimulatedOrder, generate_simulated  # brings JAX along

    version = publishing.next_version(pair.source.name, pair.target.name, pair.basis)
    widths = pair.source.latent_dimension, pair.target.latent_dimension
    names = pair.source.name, pair.target.name
    return generate_simulated(SimulatedOrder(*names, *widths, version, options.test_samples))


def _order(pair: PlannedPair, options: ColdStartOptions) -> "FunctionalOrder":
    # JAX and torch are loaded only where a pair is really made.
    from factory.recipes.maps import FunctionalOrder
    from factory.refinement.descent import Refinement

    return FunctionalOrder(
        pair.source.name,
        pair.target.name,
        publishing.next_version(pair.source.name, pair.target.name, pair.basis),
        options.test_samples,
        options.unified_dimension,
        options.method,
        Refinement(steps=options.refinement_steps) if options.refinement_steps else None,
        options.eight_bit,
        distilled=options.distilled,
    )


def _alone(session: FactorySession) -> "Callable[[FunctionalOrder], Generated]":
    from factory.recipes.functional import generate_measured

    return lambda order: generate_measured(order, session)


def _inputs(pair: PlannedPair, options: ColdStartOptions, session: FactorySession) -> str:
    common = {
        "recipe": results.RECIPE,
        "basis": pair.basis.value,
        "source": pair.source.name,
        "target": pair.target.name,
        "test_samples": options.test_samples,
    }
    if pair.basis is Basis.SIMULATED:
        dimensions = {"source": pair.source.latent_dimension, "target": pair.target.latent_dimension}
        return results.inputs_digest(**common, dimensions=dimensions)
    found = session.distilled_map(pair.source.name, pair.target.name) if options.distilled else None
    return results.inputs_digest(
        **common,
        source_weights=session.weights(pair.source.name).digest,
        target_weights=session.weights(pair.target.name).digest,
        corpus=session.corpus_digest,
        suite=session.suite.digest,
        calibration_tokens=session.calibration_tokens,
        unified_dimension=options.unified_dimension,
        method=options.method,
        refinement_steps=options.refinement_steps,
        eight_bit=options.eight_bit,
        distilled=None if found is None else found.path.stem,
    )
