"""Make a W-Matrix between the embedding spaces of two models, judged by retrieval on held-out passages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from factory.corpora import Split
from factory.measurement.evaluation import random_like
from factory.measurement.instrument import RETRIEVAL, instrument_of
from factory.measurement.metrics import ranks, retrieval
from factory.packs.capture import PASSAGES, capture_embeddings
from factory.packs.pack import OpenedPack
from factory.recipes import results
from factory.recipes.assembly import Origin, assemble, read_back, with_quality
from factory.recipes.embedding_fit import Trial, fit_vectors, same_passages
from factory.recipes.results import Generated
from factory.session import FactorySession
from kvcache.exchange.mapping import open_map
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis, Corpus, Quality
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import QualityMetrics, Space, TokenAlignment
from latentmas.runners.embedding import load_embedding_model


@dataclass(frozen=True, slots=True)
class EmbeddingOrder:
    """A W-Matrix between two models' embeddings to make, from at most `passages` passages of the corpus."""

    source: str
    target: str
    version: str
    passages: int = PASSAGES


def generate_vectors(order: EmbeddingOrder, session: FactorySession) -> Generated:
    """Fit a pair, choose its penalty on the selection passages, measure it on the held-out ones and store its files.

    Raises ModelNotSupported, InvalidInput (same model twice, corpus too small) or StorageUnavailable.
    """
    if order.source == order.target:
        raise InvalidInput(f"source and target are the same model, {order.source!r}", field="models")
    source, target = (embedding_pack(name, session, passages=order.passages) for name in (order.source, order.target))
    best, trials = fit_vectors(source, target)
    origin = Origin(
        version=order.version,
        source=source.identity,
        target=target.identity,
        method=best.fitted.method,
        token_alignment=TokenAlignment.SAME_PASSAGE,
        space=Space.EMBEDDING,
    )
    arrays = best.fitted.arrays()
    # Until it is judged, the file states what was found among the selection passages.
    found = QualityMetrics(Basis.FUNCTIONAL, best.reciprocal_rank, best.reciprocal_rank, _cost(arrays))
    draft = read_back(assemble(arrays, found, origin))
    quality = judge(draft.arrays, source, target, corpus_documents=len(session.corpus.documents))
    return results.store(
        with_quality(draft, quality),
        quality,
        instrument=instrument_of(RETRIEVAL),
        settings={
            "space": Space.EMBEDDING.value,
            "passages": str(order.passages),
            "calibration_rows": str(best.fitted.rows),
            "ridge": str(best.fitted.ridge),
            "gain": str(best.gain),
            **{f"selection_mrr_{_name(trial)}": f"{trial.reciprocal_rank:.4f}" for trial in trials},
        },
    )


def embedding_pack(name: str, session: FactorySession, *, passages: int = PASSAGES) -> OpenedPack:
    """Return the model's vectors for the session's corpus, captured and recorded now if they are not on record yet.

    Raises ModelNotSupported, InvalidInput or StorageUnavailable.
    """

    def capture(file: BinaryIO) -> None:
        session.unload_models()
        model, progress = load_embedding_model(session.weights(name)), session.stage(f"embed with {name}")
        capture_embeddings(model, session.corpus, file, passages=passages, progress=progress)

    return session.recorded(name, capture, space=Space.EMBEDDING, amount=passages)


def judge(arrays: Mapping[str, Array], source: OpenedPack, target: OpenedPack, *, corpus_documents: int) -> Quality:
    """Return the map's figures on the held-out passages, with a random W of the same shape and scale as control."""
    held_out = same_passages(source, target, Split.HELD_OUT)
    predicted = open_map(arrays).apply(held_out.source)
    control = open_map(random_like(arrays)).apply(held_out.source)
    found = retrieval(ranks(predicted, held_out.target), ranks(control, held_out.target), documents=held_out.documents)
    truth = held_out.target
    errors, lengths = (np.linalg.norm(each, axis=1) for each in (predicted - truth, truth))
    document = target.document
    return Quality(
        basis=Basis.FUNCTIONAL,
        epsilon=1 - found.top1.value,
        information_retention=_shared_variance(arrays, predicted, truth),
        cosine_similarity=float(np.mean((predicted * truth).sum(1) / (np.linalg.norm(predicted, axis=1) * lengths))),
        euclidean_distance=float(np.mean(errors / lengths)),
        computational_cost=_cost(arrays),
        test_samples=len(truth),
        documents=len(np.unique(held_out.documents)),
        confidence=found.top1.low,
        corpus=Corpus(document.corpus, document.corpus_digest, corpus_documents),
        retrieval=found,
    )


def _shared_variance(arrays: Mapping[str, Array], predicted: Array, truth: Array) -> float:
    """Return the squared correlation of standardised deviations from the target's mean, pooled over all numbers.

    A gain does not change it; at the best gain it is the share of the variance that is explained.
    """
    mine, own = ((each - arrays["target_mean"]) / arrays["target_scale"] for each in (predicted, truth))
    products: float = (mine * own).sum(dtype=np.float64)
    return float(products**2 / (np.square(mine, dtype=np.float64).sum() * np.square(own, dtype=np.float64).sum()))


def _cost(arrays: Mapping[str, Array]) -> int:
    return int(arrays["encoder"].size + arrays["decoder"].size)


def _name(trial: Trial) -> str:
    return f"{trial.fitted.method.value}_ridge_{trial.fitted.ridge}_gain_{trial.gain}"
