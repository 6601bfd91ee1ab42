"""Checks of a contributed pack before it is recorded: model, types, documents, corpus, spans, amounts and rows.

Every statement of the pack that can be recomputed is recomputed and compared.
"""

import hashlib
import re

import numpy as np

from factory.corpora import SPLIT_BOUNDS, KnownCorpus, Split, corpus_with
from factory.corpora.documents import CUT, split_of
from factory.models import CalibrationPack
from factory.packs.geometry import require_geometry
from factory.packs.pack import OpenedPack
from factory.packs.pairs import CHUNK_ROWS
from latentmas.blobs import DIGEST
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import Space
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model

LEAST_ROWS = {
    Space.KV_CACHE: {Split.CALIBRATION: CHUNK_ROWS, Split.SELECTION: 1, Split.HELD_OUT: 256},
    Space.EMBEDDING: {Split.CALIBRATION: 256, Split.SELECTION: 1, Split.HELD_OUT: 64},
}
LEAST_HELD_OUT_DOCUMENTS = 2
MAX_NAME = 200
CHECKED_BYTES = 16 << 20  # read at a time, as long as that is one row
DTYPES = {"rows": "float16", "bos": "float32"}
HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


def check_pack(pack: OpenedPack, *, new_corpus: bool) -> RegisteredModel:
    """Return the pack's model, or raise ModelNotSupported, DimensionMismatch or InvalidInput with the first flaw.

    `new_corpus`: the contributor declares that the corpus is not known here yet.
    """
    model = _check_model(pack)
    _check_types(pack)
    _check_documents(pack)
    corpus = _check_corpus(pack, new_corpus=new_corpus)
    _check_spans(pack, corpus)
    _check_amounts(pack)
    _check_rows(pack)
    return model


def rows_in(pack: OpenedPack, split: Split) -> int:
    """Return how many rows a split's documents have."""
    return sum(len(pack.spans_of(index)) for index in pack.indices(split).values())


def _check_model(pack: OpenedPack) -> RegisteredModel:
    document = pack.document
    model = get_model(document.model, require_active=True)
    if document.model != model.name:
        raise InvalidInput(
            f"the pack names the model {document.model!r}; the registry's name of it is {model.name!r}",
            resolution=f"Write {model.name!r} into the pack's document.",
            field="model",
        )
    if DIGEST.fullmatch(document.weights) is None:
        raise InvalidInput(f"weights is {document.weights!r}, not sha256: and 64 hex digits", field="weights")
    if document.space is Space.KV_CACHE:
        assert document.geometry is not None
        require_geometry(model, document.geometry)
    elif model.shape.hidden_size not in (None, document.width):
        raise DimensionMismatch(
            f"the vectors are {document.width} wide; those of {model.name} have {model.shape.hidden_size} numbers",
            field="dimension",
        )
    return model


def _check_types(pack: OpenedPack) -> None:
    for name, info in pack.file.tensors.items():
        wanted = DTYPES.get(name)
        if wanted is not None and info.dtype != np.dtype(wanted):
            raise InvalidInput(f"{name} is {info.dtype}; a pack holds it as {wanted}", field=name)
        if wanted is None and info.dtype.kind != "i":
            raise InvalidInput(f"{name} is {info.dtype}; a pack holds it as whole numbers", field=name)


def _check_documents(pack: OpenedPack) -> None:
    """Raise InvalidInput for a malformed or repeated digest, or a split that the hash rule does not give.

    Which documents are near duplicates is known of the corpora that come with the product; elsewhere there are none.
    """
    documents, splits = pack.document.documents, pack.document.splits
    for digest in documents:
        if HEX.fullmatch(digest) is None:
            raise InvalidInput(f"documents holds {digest[:80]!r}, not 64 hex digits", field="documents")
    if len(set(documents)) < len(documents):
        raise InvalidInput("a document is in the pack twice", field="documents")
    known = corpus_with(digest=pack.document.corpus_digest)
    groups = {} if known is None else known.groups
    for digest, given in zip(documents, splits, strict=True):
        if given is not (due := split_of(groups.get(digest, digest))):
            raise InvalidInput(
                f"the document {digest[:16]} is said to be {given.value}; by its hash it is {due.value}",
                resolution="The first byte of SHA-256('latentmas/split/1:' + digest) decides, the digest being that of "
                f"the smallest of its near duplicates: {_bounds()}.",
                field="splits",
            )


def _check_corpus(pack: OpenedPack, *, new_corpus: bool) -> KnownCorpus | None:
    """Return the corpus if it comes with the product. InvalidInput for an unseen digest not declared as new."""
    document = pack.document
    if not 1 <= len(document.corpus.strip()) <= MAX_NAME:
        raise InvalidInput(f"corpus must have 1 to {MAX_NAME} characters", field="corpus")
    if DIGEST.fullmatch(document.corpus_digest) is None:
        raise InvalidInput(f"{document.corpus_digest!r} is not sha256: and 64 hex digits", field="corpus_digest")
    ours = corpus_with(digest=document.corpus_digest)
    if ours is None and (named := corpus_with(name=document.corpus)) is not None:
        raise InvalidInput(
            f"the corpus digest is {document.corpus_digest}; that of {named.name!r} is {named.digest}",
            resolution="Capture the corpus as it comes with the product, or give another corpus a name of its own.",
            field="corpus_digest",
        )
    if ours is not None:
        _check_membership(pack, ours)
        return ours
    together = hashlib.sha256("\n".join(sorted(document.documents)).encode()).hexdigest()
    seen = CalibrationPack.objects.filter(corpus_digest=document.corpus_digest).exists()
    if not seen and not new_corpus:
        covers = "its documents together have" if document.corpus_digest == f"sha256:{together}" else "they have not"
        raise InvalidInput(
            f"no corpus with the digest {document.corpus_digest} is known here ({covers} this digest)",
            resolution="If the corpus is new here, send the pack again with ?new_corpus=true.",
            field="corpus_digest",
        )
    return None


def _check_membership(pack: OpenedPack, corpus: KnownCorpus) -> None:
    if pack.document.corpus != corpus.name:
        raise InvalidInput(
            f"the corpus with this digest is called {corpus.name!r}, not {pack.document.corpus!r}", field="corpus"
        )
    for digest in pack.document.documents:
        if digest not in corpus.documents:
            raise InvalidInput(f"the document {digest[:16]} is not one of {corpus.name}", field="documents")


def _check_spans(pack: OpenedPack, corpus: KnownCorpus | None) -> None:
    """Raise InvalidInput if spans leave their document or go back in it: tokens are paired by where they end."""
    starts, ends = pack.spans.astype(np.int64).T
    if (starts < 0).any() or (ends < starts).any():
        raise InvalidInput("spans holds a token that ends before it starts", field="spans")
    first_rows = pack.starts.astype(np.int64)[:-1]
    for values in (starts, ends):
        steps = np.diff(values, prepend=0)
        steps[first_rows] = 0
        if (steps < 0).any():
            row = int(np.argmax(steps < 0))
            raise InvalidInput(f"spans goes back in the text at row {row}; tokens come in their order", field="spans")
    last = ends[pack.starts.astype(np.int64)[1:] - 1]
    limits = _limits(pack, corpus)
    if (last > limits).any():
        index = int(np.argmax(last > limits))
        raise InvalidInput(
            f"spans of the document {pack.document.documents[index][:16]} end at {last[index]}; it is read up to "
            f"character {limits[index]}",
            field="spans",
        )


def _limits(pack: OpenedPack, corpus: KnownCorpus | None) -> Array:
    read = CUT if corpus is None else corpus.cut
    cut = read if pack.document.space is Space.KV_CACHE else np.iinfo(np.int64).max
    lengths = [cut if corpus is None else min(cut, corpus.documents[each]) for each in pack.document.documents]
    return np.array(lengths, dtype=np.int64)


def _check_amounts(pack: OpenedPack) -> None:
    for split, least in LEAST_ROWS[pack.document.space].items():
        if (found := rows_in(pack, split)) < least:
            raise InvalidInput(
                f"the pack has {found} {split.value} rows; {least} are the least",
                resolution="Capture more of the corpus.",
                field="rows",
            )
    if (found := len(pack.indices(Split.HELD_OUT))) < LEAST_HELD_OUT_DOCUMENTS:
        raise InvalidInput(f"the pack has {found} held-out documents; 2 are the least to judge on", field="documents")


def _check_rows(pack: OpenedPack) -> None:
    """Raise InvalidInput if all rows are equal, or a number is not finite (which `read` checks)."""
    total = pack.file.tensors["rows"].shape[0]
    first = pack.file.read("rows", first=0, count=1)
    count = max(1, CHECKED_BYTES // first.nbytes)
    varies = False
    for start in range(0, total, count):
        rows = pack.file.read("rows", first=start, count=count)
        varies = varies or bool((rows != first).any())
        pack.file.let_go()
    if not varies:
        raise InvalidInput("all rows of the pack are the same", field="rows")


def _bounds() -> str:
    return ", ".join(f"below {bound} {split.value}" for split, bound in SPLIT_BOUNDS)
