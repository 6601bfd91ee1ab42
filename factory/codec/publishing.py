"""Calibrate a codec profile, store and record it; a profile that is recorded already is not made again."""

from dataclasses import dataclass, replace
from pathlib import Path

from factory.codec.calibration import Settings, calibrate
from factory.corpora import TextCorpus
from factory.progress import Stage
from factory.runners.model import load_model
from kvcache.coding.profile import ProfileDocument
from kvcache.kernels.coefficient_classes import step_size
from kvcache.server import queries
from kvcache.server.commands import publish_profile
from kvcache.server.events import CodecProfilePublished, PublishedPoint
from kvcache.server.models import CodecProfile
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.quality import Basis
from latentmas.runners.weights import find_weights


@dataclass(frozen=True, slots=True)
class ProfileOrder:
    model: str  # any spelling the registry knows
    corpus: TextCorpus
    settings: Settings
    weights: str | None = None  # a folder, GGUF file or hub id; None: the packaged weights


@dataclass(frozen=True, slots=True)
class PublishedProfile:
    profile: CodecProfile
    made: bool  # False: it was on record


def calibrate_and_publish(order: ProfileOrder, *, cache: Path, stage: Stage, metadata: Metadata) -> PublishedProfile:
    """Return the recorded profile, made now if there is none of these weights, this corpus and this version.

    Raises ModelNotSupported, InvalidInput or StorageUnavailable.
    """
    name = queries.get_adapter(order.model).model
    progress = stage(f"find or convert {name}")
    progress(0, 1)
    weights = find_weights(name, cache=cache, location=order.weights)
    progress(1, 1)
    known = CodecProfile.objects.filter(
        model=name, weights=weights.digest, version=order.settings.version, corpus__digest=order.corpus.digest
    ).first()
    if known is not None and blobs.exists(known.digest):
        return PublishedProfile(known, made=False)
    model = load_model(weights, differentiable=True)
    documents: list[ProfileDocument] = []
    digest = blobs.put(
        lambda file: documents.append(calibrate(model, order.corpus, file, settings=order.settings, stage=stage))
    )
    publish_profile(_event(documents[0], digest), metadata=metadata)
    return PublishedProfile(queries.get_profile(digest), made=True)


def _event(document: ProfileDocument, digest: str) -> CodecProfilePublished:
    return CodecProfilePublished(
        digest=digest,
        size=blobs.size(digest),
        model=document.model,
        weights=document.weights,
        version=document.version,
        width=document.geometry.width,
        corpus=document.corpus,
        basis=Basis.FUNCTIONAL,
        measured_on=replace(document.corpus, documents=document.judged),
        curve=tuple(PublishedPoint(step_size(each.step), each.ratio, each.kl, each.top1) for each in document.curve),
    )
