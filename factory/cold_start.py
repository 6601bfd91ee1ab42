"""Fill an empty marketplace (specification 3): make each pair once, keep what is finished, publish on request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factory import catalogue, generated
from factory.catalogue import Published
from factory.generated import Generated
from factory.planner import PlannedPair
from factory.workshop import Workshop
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Method

RECIPE = "align/3"  # changes whenever the same inputs would give another W-Matrix


@dataclass(frozen=True, slots=True)
class Options:
    test_samples: int
    publish: bool
    unified_dimension: int | None = None
    method: Method = Method.LEARNED
    refinement_steps: int = 0
    eight_bit: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one planned pair: a W-Matrix, perhaps published, or the problem that prevented it."""

    pair: PlannedPair
    generated: Generated | None = None
    published: Published | None = None
    problem: LatentMASError | None = None
    was_ready: bool = False  # made by an earlier run


def run(pairs: Sequence[PlannedPair], options: Options, *, workshop: Workshop, metadata: Metadata) -> Iterator[Outcome]:
    """Make and publish the pairs in order. One pair's problem is its outcome and does not stop the others."""
    for pair in pairs:
        try:
            yield _run_one(pair, options, workshop, metadata)
        except LatentMASError as problem:
            yield Outcome(pair, problem=problem)


def _run_one(pair: PlannedPair, options: Options, workshop: Workshop, metadata: Metadata) -> Outcome:
    inputs = _inputs(pair, options, workshop)
    result = generated.recall(inputs, cache=workshop.cache)
    was_ready = result is not None
    if result is None:
        result = _generate(pair, options, workshop)
        generated.remember(inputs, result, cache=workshop.cache)
    published = catalogue.publish(result, metadata=metadata) if options.publish else None
    return Outcome(pair, result, published, was_ready=was_ready)


def _generate(pair: PlannedPair, options: Options, workshop: Workshop) -> Generated:
    # JAX and torch are loaded only where a pair is really made.
    version = catalogue.next_version(pair.source.name, pair.target.name, pair.basis)
    if pair.basis is Basis.SIMULATED:
        from factory.simulated import generate_simulated

        return generate_simulated(pair, version=version, test_samples=options.test_samples)
    from factory.measured import FunctionalOrder, generate_measured
    from factory.refinement.descent import Refinement

    order = FunctionalOrder(
        pair.source.name,
        pair.target.name,
        version,
        options.test_samples,
        options.unified_dimension,
        options.method,
        Refinement(steps=options.refinement_steps) if options.refinement_steps else None,
        options.eight_bit,
    )
    return generate_measured(order, workshop)


def _inputs(pair: PlannedPair, options: Options, workshop: Workshop) -> str:
    common = {
        "recipe": RECIPE,
        "basis": pair.basis.value,
        "source": pair.source.name,
        "target": pair.target.name,
        "test_samples": options.test_samples,
    }
    if pair.basis is Basis.SIMULATED:
        dimensions = {"source": pair.source.latent_dimension, "target": pair.target.latent_dimension}
        return generated.inputs_digest(**common, dimensions=dimensions)
    return generated.inputs_digest(
        **common,
        source_weights=workshop.weights(pair.source.name).digest,
        target_weights=workshop.weights(pair.target.name).digest,
        corpus=workshop.corpus.digest,
        calibration_tokens=workshop.calibration_tokens,
        unified_dimension=options.unified_dimension,
        method=options.method,
        refinement_steps=options.refinement_steps,
        eight_bit=options.eight_bit,
    )
