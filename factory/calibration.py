"""Make a model's calibration pack: check the model, capture its cache over a corpus, store and record the pack."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from factory.corpora import TextCorpus
from factory.models import CalibrationPack
from factory.packs.capture import CALIBRATION_TOKENS
from factory.packs.geometry import require_cache, require_geometry
from factory.progress import Stage
from factory.runners.model import RunningModel
from factory.session import FactorySession
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.errors import ModelNotSupported, StorageUnavailable
from latentmas.protocol.w_matrix import Space
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model

REGISTER = (
    "Register it first: a curator adds it at /admin/registry/registeredmodel/add/, or name it in a file for "
    "`manage.py load_registry --file`."
)

REPEATS = 16
POSITION_TOLERANCE = 1e-3  # of the largest key; float32 leaves about 1e-6


@dataclass(frozen=True, slots=True)
class CalibrationOrder:
    """A pack to capture. `weights` is a folder, a GGUF file or a hub id; None: the weights installed as a package."""

    model: str
    read_corpus: Callable[[], TextCorpus]
    weights: str | None = None
    tokens: int = CALIBRATION_TOKENS


@dataclass(frozen=True, slots=True)
class Calibrated:
    pack: CalibrationPack
    made: bool  # False: it was on record already


def calibrate(order: CalibrationOrder, *, cache: Path, stage: Stage, metadata: Metadata) -> Calibrated:
    """Return the model's pack of the corpus, captured and recorded now if it is not on record yet.

    Raises ModelNotSupported (unknown to the registry, no KV-cache, no weights), DimensionMismatch where the weights
    contradict the registry, InvalidInput or StorageUnavailable.
    """
    model = _registered(order.model)
    require_cache(model)
    session = FactorySession(
        read_corpus=order.read_corpus,
        cache=cache,
        metadata=metadata,
        stage=stage,
        calibration_tokens=order.tokens,
        locations={} if order.weights is None else {model.name: order.weights},
    )
    recorded = session.on_record(model.name, space=Space.KV_CACHE, amount=order.tokens)
    if recorded is not None:
        return Calibrated(recorded, made=False)
    running = session.model(model.name)
    require_geometry(model, running.geometry)  # before minutes of work
    require_undone_rotation(running)
    session.pack(model.name)
    pack = session.on_record(model.name, space=Space.KV_CACHE, amount=order.tokens)
    assert pack is not None
    return Calibrated(pack, made=True)


def require_undone_rotation(model: RunningModel) -> None:
    """Raise ModelNotSupported if keys still depend on the position after RoPE was undone.

    In the first layer a key without RoPE depends on its token alone, so a repeated token must give equal keys.
    """
    token = (model.encode("the").ids or (model.bos,))[0]
    geometry = model.geometry
    keys = model.capture([token] * REPEATS)[1:, : geometry.heads * geometry.head_dim]
    if np.abs(keys - keys[:1]).max() > POSITION_TOLERANCE * np.abs(keys).max():
        raise ModelNotSupported(
            f"the keys of {model.name} depend on their position even without the rotation that its configuration "
            "describes: its layout is another, or its positions are not rotations",
            resolution="Only models with rotary positions in the layout of the Llama family can be calibrated.",
        )


def write_pack(pack: CalibrationPack, path: Path) -> None:
    """Copy a pack's file to a path atomically. Raises StorageUnavailable."""
    try:
        with (
            blobs.open_blob(pack.digest) as stored,
            tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as unfinished,
        ):
            try:
                shutil.copyfileobj(stored, unfinished)
                unfinished.flush()
                Path(unfinished.name).replace(path)
            except OSError:
                Path(unfinished.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise StorageUnavailable(f"{path} could not be written: {error.strerror or error}") from error


def _registered(spelling: str) -> RegisteredModel:
    try:
        return get_model(spelling, require_active=True)
    except ModelNotSupported as error:
        if "suggestion" not in error.facts:  # it is known, and deactivated
            raise
        raise ModelNotSupported(error.message, resolution=REGISTER, **dict(error.facts)) from error
