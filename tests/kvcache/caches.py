"""Small caches and queries that several tests compress."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from kvcache.adapters import ModelAdapter, adapter_for
from kvcache.coding.profile import Group, OpenedProfile, ProfileDocument, open_profile, write_profile
from kvcache.kernels import coefficient_classes as classes
from kvcache.kernels.transform import BASIS_BLOCK
from kvcache.streaming.chunks import part
from latentmas.protocol.architecture import ModelArchitecture, Rope
from latentmas.protocol.quality import Corpus
from latentmas.protocol.snapshot import KVSnapshot, whole
from tests.kvcache.profiles import WEIGHTS, frozen_tables


def adapter(**facts: Any) -> ModelAdapter:
    """A model of two layers, four query heads on two KV heads of 16, unless `facts` say otherwise."""
    known: dict[str, Any] = {"num_layers": 2, "num_attention_heads": 4, "num_kv_heads": 2, "head_dim": 16}
    known |= {"attention_type": "full", "position_encoding": "rope", "rope": Rope(theta=1e4, layout="half")}
    return adapter_for("small", family="test", architecture=ModelArchitecture(**known | facts), threshold=0.9)


def snapshot(tokens: int, made_for: ModelAdapter | None = None, seed: int = 0) -> KVSnapshot:
    """A cache of that many tokens, some of which stand out, so that attention has something to choose."""
    geometry = (made_for or adapter()).geometry
    assert geometry is not None
    generator = np.random.default_rng(seed)
    shape = (geometry.layers, tokens, geometry.heads)
    loud = 0.3 + generator.exponential(size=(1, tokens, 1, 1))
    keys = generator.normal(size=(*shape, geometry.head_dim)) * loud
    values = generator.normal(size=(*shape, geometry.value_width))
    frame = whole(
        geometry, tokens, model="small", weights=WEIGHTS, token_ids=np.arange(tokens, dtype=np.int32), context=WEIGHTS
    )
    return KVSnapshot(frame, keys.astype("f4"), values.astype("f4"))


def queries(count: int, made_for: ModelAdapter | None = None, seed: int = 1) -> np.ndarray:
    made_for = made_for or adapter()
    shape = (made_for.geometry.layers, count, made_for.query_heads, made_for.geometry.head_dim)
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def profile(folder: Path, made_for: ModelAdapter | None = None, **known: Any) -> OpenedProfile:
    """A codec profile that knows nothing of these caches but their spread: the basis is the identity."""
    geometry = (made_for or adapter()).geometry
    width, every = geometry.width, tuple(range(geometry.layers))
    group = Group(
        scope="all",
        layers=every,
        mean=np.zeros(width, "f4"),
        weight=np.ones(width, "f4"),
        basis=np.eye(width, dtype="i1") * 127,
        basis_scale=np.full((-(-width // BASIS_BLOCK), width), 1 / 127, "f2"),
        levels=np.round(np.linspace(24, -24, width)).astype("i2"),  # so that a step decides how many are coded
        importance=np.zeros(width, "f4"),
    )
    shared = frozen_tables() | {
        "shrink": np.zeros((classes.CLASSES, 2), "f4"),
        "recency": np.zeros(40, "f4"),
        "bos": np.zeros(width, "f2"),
    }
    document: dict[str, Any] = {"model": "small", "weights": WEIGHTS, "geometry": geometry, "kl_per_distortion": 0.01}
    document |= {"kind": "codec-profile", "version": "1.0.0", "corpus": Corpus("noise", WEIGHTS, 1), "tokens": 1000}
    document |= {"scopes": ("all",), "layers": (every,), "curve": ()}
    path = folder / "profile.safetensors"
    with path.open("wb") as file:
        write_profile(file, ProfileDocument(**document | known), [group], shared)
    return open_profile(path)


def chunks(cache: KVSnapshot, *sizes: int) -> list[KVSnapshot]:
    """The cache cut into pieces of those sizes, then what is left."""
    edges = [0, *np.cumsum(sizes).tolist(), cache.frame.tokens]
    return [part(cache, start, stop) for start, stop in pairwise(edges) if stop > start]
