"""Make a W-Matrix between two models that can be run, measured with the target itself (basis `functional`).

Steps: a draft, its measurement on the evaluation suite, the file with its figures.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from factory.corpora import BROAD, TextCorpus
from factory.measurement.arms import judged
from factory.measurement.instrument import ARMS, instrument_of
from factory.measurement.journal import Journal
from factory.measurement.passages import require_enough
from factory.measurement.suite import Measured, measure
from factory.recipes import results
from factory.recipes.assembly import arrays_digest, with_quality
from factory.recipes.draft import Draft, cost_of, drafted
from factory.recipes.left_out import LeftOut, with_left_out
from factory.recipes.maps import FunctionalOrder, distilled_map
from factory.recipes.results import Generated
from factory.session import FactorySession
from latentmas.protocol.quality import Basis, Corpus, Quality, SuiteFigures
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import WMatrix


def generate_measured(order: FunctionalOrder, session: FactorySession) -> Generated:
    """Fit a pair on the session's corpus and measure it on the session's evaluation suite with the real target model.

    Raises as `drafted` does, and InvalidInput where the suite is too small.
    """
    return finished(drafted(order, session), order, session)


def finished(draft: Draft, order: FunctionalOrder, session: FactorySession) -> Generated:
    """Measure a draft, as far as its journal does not hold the scores, and store the W-Matrix. Raises as above."""
    measured = measure(
        judged(draft.w_matrix, tokens_only=draft.control),
        session.suite,
        source=session.model(order.source),
        target=session.model(order.target),
        journal=journal_of(draft.w_matrix, draft.control, session),
        progress=session.stage(f"score {order.source} -> {order.target}"),
    )
    require_enough(measured.documents, scored_tokens=order.test_samples)
    # A distilled map would have to be trained again for every register, and no fitted map speaks for it.
    if session.suite.leaves_registers_out and session.corpus.name == BROAD and not distilled_map(order, session):
        measured = replace(measured, figures=_left_out(measured, draft.dimension, order, session))
    quality = quality_of(measured, draft.w_matrix.arrays, session.corpus)
    return results.store(
        with_quality(draft.w_matrix, quality),
        quality,
        layers=measured.layers,
        documents=measured.documents,
        settings=draft.settings,
        instrument=instrument_of(ARMS, (session.model(order.source), session.model(order.target))),
    )


def journal_of(w_matrix: WMatrix, control: Mapping[str, Array], session: FactorySession) -> Journal:
    """Return the journal of a W-Matrix's scores on the session's suite: an interrupted run goes on with it.

    `control` is the map of the target's tokens alone.
    """
    document = w_matrix.document
    name = results.inputs_digest(
        evaluation=ARMS,
        suite=session.suite.digest,
        w_matrix=arrays_digest(w_matrix.arrays | {f"control_{name}": each for name, each in control.items()}),
        weights=(document.source_weights, document.target_weights),
    )
    return Journal(session.cache / "scores" / f"{name}.jsonl")


def _left_out(measured: Measured, dimension: int, order: FunctionalOrder, session: FactorySession) -> SuiteFigures:
    pair = LeftOut(order.source, order.target, dimension, order.method)
    packs = [session.pack(name).document for name in (order.source, order.target)]
    name = results.inputs_digest(
        left_out=ARMS,
        suite=session.suite.digest,
        documents=[pack.documents for pack in packs],
        weights=[pack.weights for pack in packs],
        pair=(pair.source, pair.target, pair.rank, pair.method.value),
    )
    journal = Journal(session.cache / "scores" / f"{name}.jsonl")
    return with_left_out(measured.figures, measured.documents, pair, session, journal=journal)


def quality_of(measured: Measured, arrays: Mapping[str, Array], corpus: TextCorpus) -> Quality:
    """Return the summary of what was measured; `corpus` is the text of the control of the target's tokens alone."""
    aligned = measured.retention.aligned
    layers = measured.layers
    return Quality(
        basis=Basis.FUNCTIONAL,
        epsilon=min(max(1 - aligned.value, 0.0), 1.0),
        information_retention=aligned.value,
        cosine_similarity=float(np.mean([(each.key_cosine + each.value_cosine) / 2 for each in layers])),
        euclidean_distance=float(np.mean([(each.key_error + each.value_error) / 2 for each in layers])),
        computational_cost=cost_of(arrays),
        test_samples=sum(each.scored_tokens for each in measured.documents),
        documents=len(measured.documents),
        confidence=aligned.low,
        retention=measured.retention,
        corpus=Corpus(corpus.name, corpus.digest, len(corpus.documents)),
        reread=measured.reread,
        suite=measured.figures,
    )
