"""Calibrate a codec profile of a model: read windows, fit the transforms, freeze the tables, measure the curve."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from factory.codec.curve import measure, snapshot_of
from factory.codec.fitting import Moments, fit_groups, layer_groups, moments_of
from factory.codec.statistics import RowStatistics
from factory.codec.tables import freeze
from factory.codec.windows import CONTEXT_TOKENS, Window, documents_of, read_windows
from factory.corpora import Split, TextCorpus
from factory.progress import Stage
from factory.runners.gradients import rows_and_gradients
from factory.runners.model import RunningModel
from kvcache.coding.coordinates import coordinates
from kvcache.coding.profile import KIND, Group, OpenedProfile, ProfileDocument, open_profile, write_profile
from kvcache.kernels.coefficient_classes import CLASSES
from latentmas.protocol.quality import Corpus
from latentmas.protocol.tensors import Array

TABLE_WINDOWS = 8  # whose rows the tables are counted on
TABLE_BITS = (0.5, 1.0, 2.0, 3.0)  # what a coefficient costs, on average over the leading ones, at the counted steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How much text a calibration reads, and how many directions it keeps."""

    windows: int = 64  # contexts to learn from
    selection_windows: int = 6  # contexts of other documents to measure the curve on
    context: int = CONTEXT_TOKENS
    rank: int = 4096  # directions of each layer group; fewer decode faster and lose fidelity below 30x
    version: str = "1.0.0"


@dataclass(frozen=True, slots=True)
class _Read:
    """What one pass over the calibration windows gives."""

    moments: Moments
    bos: Array
    samples: tuple[Array, ...]  # rows of some windows, BOS first
    tokens: int


def calibrate(
    model: RunningModel, corpus: TextCorpus, file: BinaryIO, *, settings: Settings, stage: Stage
) -> ProfileDocument:
    """Write the profile of a differentiable model to `file` and return its document. Raises InvalidInput.

    The transforms and tables come from the calibration documents, the curve from the selection documents.
    """
    windows = read_windows(corpus.part(Split.CALIBRATION), model, wanted=settings.windows, context=settings.context)
    judged = read_windows(
        corpus.part(Split.SELECTION), model, wanted=settings.selection_windows, context=settings.context
    )
    read = _read(windows, model, stage)
    groups = fit_groups(
        read.moments, model.geometry, rank=settings.rank, progress=stage(f"find the directions of {model.name}")
    )
    document = _document(model, corpus, documents_of(windows), read.tokens, settings)
    shared = _frozen(document, groups, read, model)
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as draft:
        write_profile(draft, document, groups, shared)  # type: ignore[arg-type]
        draft.flush()
        measured = measure(judged, model, open_profile(Path(draft.name)), progress=stage(f"measure {model.name}"))
    final = replace(
        document,
        judged=documents_of(judged),
        curve=measured.curve,
        kl_per_distortion=measured.kl_per_distortion,
    )
    write_profile(file, final, groups, shared)
    return final


def _read(windows: Sequence[Window], model: RunningModel, stage: Stage) -> _Read:
    progress, statistics = stage(f"read with gradients: {model.name}"), RowStatistics()
    samples: list[Array] = []
    bos = np.zeros(model.geometry.width, np.float32)
    every = max(1, len(windows) // TABLE_WINDOWS)
    for number, window in enumerate(windows):
        progress(number, len(windows))
        rows, gradients = rows_and_gradients(model, window.context, window.continuation, seed=number)
        statistics.add(rows[1:], gradients[1:])
        bos = rows[0]
        if number % every == 0:
            samples.append(rows)
    progress(len(windows), len(windows))
    return _Read(moments_of(statistics), bos, tuple(samples), statistics.tokens)


def _document(
    model: RunningModel, corpus: TextCorpus, documents: int, tokens: int, settings: Settings
) -> ProfileDocument:
    groups = list(layer_groups(model.geometry))
    return ProfileDocument(
        kind=KIND,
        version=settings.version,
        model=model.name,
        weights=model.weights,
        geometry=model.geometry,
        corpus=Corpus(corpus.name, corpus.digest, documents),
        tokens=tokens,
        scopes=tuple(scope for scope, _ in groups),
        layers=tuple(layers for _, layers in groups),
        judged=0,
        kl_per_distortion=None,
        curve=(),
    )


def _frozen(document: ProfileDocument, groups: Sequence[Group], read: _Read, model: RunningModel) -> dict[str, Array]:
    """Return the shared arrays of the profile, its tables counted on the sample rows."""
    shared = {
        "frequencies": np.ones((CLASSES, 4), np.int32),
        "limits": np.ones(CLASSES, np.int32),
        "shrink": np.zeros((CLASSES, 2), np.float32),
        "recency": read.moments.recency,
        "bos": read.bos.astype(np.float16),
    }
    draft = OpenedProfile("", 0, document, tuple(groups), **shared)
    tables = freeze(
        (coordinates(snapshot_of(rows, model), profile=draft) for rows in read.samples), steps=_steps(groups[0])
    )
    return shared | {"frequencies": tables.frequencies, "limits": tables.limits, "shrink": tables.shrink}


def _steps(group: Group) -> tuple[int, ...]:
    """Return steps at which the leading half of the coefficients costs about as many bits as TABLE_BITS says."""
    middle = float(np.mean(group.levels[: max(1, group.rank // 2)]))
    return tuple(round(middle - 16 * bits) + 16 for bits in TABLE_BITS)
