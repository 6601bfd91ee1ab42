"""Spot-check a pack of a KV-cache by running its model over the corpus.

Compared are the sink (BOS row), every document's spans and split, every row's first layer, which depends on its token
alone, and all layers of some documents that nobody can foresee. Rows are stored in fp16, and another processor rounds
differently: TOLERANCE leaves room for both.
"""

import random
from typing import TYPE_CHECKING

import numpy as np

from awareness_sdk.first_layer import first_layer_of
from factory.corpora import Split, TextCorpus
from factory.packs.pack import OpenedPack
from factory.progress import Progress
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from factory.runners.model import Encoding, RunningModel  # at run time it brings JAX along

# Documents of which all layers are compared. If a third of the calibration documents is forged, 12 miss it in 1 of 100.
COMPARED = {Split.CALIBRATION: 12, Split.SELECTION: 2, Split.HELD_OUT: 2}
TOLERANCE = 0.01  # of the norm of a layer's keys or values; fp16 takes 0.0002 of it, running in bfloat16 0.02
RESOLUTION = "Capture the pack again in float32: `manage.py calibrate MODEL --weights WEIGHTS --output FILE`."
TINY = float(np.finfo(np.float32).tiny)
CHANCE = random.SystemRandom()


def spot_check(pack: OpenedPack, *, model: "RunningModel", corpus: TextCorpus, progress: Progress) -> None:
    """Raise InvalidInput, naming the document or the sink, where the pack is not what the model makes of the corpus.

    Facts: `field`, `document` (its digest), what was `given` and what was `expected`.
    """
    geometry, bos = pack.of_cache()
    if geometry != model.geometry:
        raise InvalidInput(
            f"the pack's cache is {geometry}; that of {model.name} is {model.geometry}",
            resolution=RESOLUTION,
            field="geometry",
        )
    require_sink(bos, model, field="bos")
    encodings = _encoded(pack, model, corpus)
    _check_first_layers(pack, model, encodings)
    chosen = _chosen(pack)
    for number, index in enumerate(chosen):
        progress(number, len(chosen))
        own = model.capture(encodings[index].ids)[1:]
        _require_rows(pack.rows(index)[1:], own, pack, index)
    progress(len(chosen), len(chosen))


def require_sink(row: Array, model: "RunningModel", *, field: str) -> None:
    """Raise InvalidInput unless a row `[width]` is the one that the model caches of BOS; `field` holds it."""
    own = model.capture(())[:1]
    difference, where = _furthest(row[None], own, model.geometry)
    if difference > TOLERANCE:
        raise InvalidInput(
            f"the sink in {field} is not the one that {model.name} caches of BOS: {where} differ by "
            f"{difference:.1%} of their norm, where {TOLERANCE:.0%} is the most that rounding explains",
            resolution=RESOLUTION,
            field=field,
            given=round(difference, 4),
            expected=f"at most {TOLERANCE}",
        )


def _encoded(pack: OpenedPack, model: "RunningModel", corpus: TextCorpus) -> "list[Encoding]":
    """Return the model's tokens of every document. Raises InvalidInput where the pack has other splits or spans."""
    ours = {each.digest: (each.text, split) for split in Split for each in corpus.part(split)}
    encodings = []
    for index, (digest, split) in enumerate(zip(pack.document.documents, pack.document.splits, strict=True)):
        if digest not in ours:
            raise _false("documents", digest, "is in the pack", given=digest, expected=f"a document of {corpus.name}")
        text, due = ours[digest]
        if split is not due:
            raise _false("splits", digest, "has another split", given=split.value, expected=due.value)
        encoding = model.encode(text[: corpus.cut])
        _check_spans(pack.spans_of(index), encoding, digest)
        encodings.append(encoding)
    return encodings


def _check_spans(spans: Array, encoding: "Encoding", digest: str) -> None:
    due = np.array(encoding.spans, dtype=spans.dtype).reshape(-1, 2)
    if len(spans) != len(due):
        raise _false("spans", digest, "has other tokens", given=f"{len(spans)} tokens", expected=f"{len(due)} tokens")
    if (wrong := (spans != due).any(axis=1)).any():
        token = int(np.argmax(wrong))
        raise _false(
            "spans",
            digest,
            f"has other characters in token {token}",
            given=spans[token].tolist(),
            expected=due[token].tolist(),
        )


def _check_first_layers(pack: OpenedPack, model: "RunningModel", encodings: "list[Encoding]") -> None:
    """Raise InvalidInput where a document's first layer is not that of its tokens: such rows are of another text."""
    own = first_layer_of(model.network, np.concatenate([each.ids for each in encodings]))
    starts = pack.starts.astype(np.int64)
    for index in range(len(encodings)):
        rows = pack.rows(index)[1:, : model.geometry.layer_width]
        _require_rows(rows, own[starts[index] : starts[index + 1]], pack, index)


def _require_rows(rows: Array, own: Array, pack: OpenedPack, index: int) -> None:
    geometry, _ = pack.of_cache()
    difference, where = _furthest(rows, own, geometry)
    if difference > TOLERANCE:
        raise _false(
            "rows",
            pack.document.documents[index],
            f"has other rows than {pack.document.model} caches of it: {where} differ by {difference:.1%} of their norm",
            given=round(difference, 4),
            expected=f"at most {TOLERANCE}",
        )


def _furthest(rows: Array, own: Array, geometry: KVGeometry) -> tuple[float, str]:
    """Return the largest relative difference over all rows of one layer's keys or values, and where it is.

    Rows `[tokens, layers * layer_width]` may hold the first layers only.
    """
    split = geometry.heads * geometry.head_dim
    mine, true = (each.reshape(len(own), -1, geometry.layer_width) for each in (rows, own))
    found = []
    for name, part in (("keys", slice(split)), ("values", slice(split, None))):
        errors, norms = (np.linalg.norm(each[..., part], axis=(0, 2)) for each in (mine - true, true))
        relative = errors / np.maximum(norms, TINY)
        layer = int(np.argmax(relative))
        found.append((float(relative[layer]), f"the {name} of layer {layer}"))
    return max(found)


def _chosen(pack: OpenedPack) -> list[int]:
    """Return the indices of the documents to compare whole, drawn anew every time."""
    indices = {split: list(pack.indices(split).values()) for split in COMPARED}
    return [
        index
        for split, count in COMPARED.items()
        for index in CHANCE.sample(indices[split], min(count, len(indices[split])))
    ]


def _false(field: str, digest: str, what: str, *, given: object, expected: object) -> InvalidInput:
    return InvalidInput(
        f"the document {digest[:16]} {what}; it has {given}, right would be {expected}",
        resolution=RESOLUTION,
        field=field,
        document=digest,
        given=given,
        expected=expected,
    )
