"""Store a finished W-Matrix and its evaluation report as files, and find them again by a digest of the inputs.

The record from inputs to result is written last and atomically, so an interrupted run continues with the next pair.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from latentmas import blobs
from latentmas.protocol.canonical import canonical, plain
from latentmas.protocol.errors import StorageUnavailable
from latentmas.protocol.quality import (
    DocumentScore,
    EvaluationReport,
    Instrument,
    LayerFidelity,
    ModelIdentity,
    Quality,
)
from latentmas.protocol.w_matrix import Space, WMatrix
from marketplace.listings.events.listing import StoredFile

RECIPE = "align/7"  # changes whenever the same inputs would give another W-Matrix
FOLDER = "generated"  # of the records, below the cache folder


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished W-Matrix: what its listing's version will state, and the digests of its two stored files."""

    version: str
    source: ModelIdentity
    target: ModelIdentity
    method: str
    standard: int
    source_dimension: int
    unified_dimension: int
    target_dimension: int
    file: str  # sha256:<hex>
    file_size: int
    report: str
    report_size: int
    quality: Quality
    space: Space = Space.KV_CACHE
    instrument: Instrument | None = None  # None: simulated, or made before it was kept


def store(
    w_matrix: WMatrix,
    quality: Quality,
    *,
    layers: tuple[LayerFidelity, ...] = (),
    documents: tuple[DocumentScore, ...] = (),
    settings: Mapping[str, str],
    instrument: Instrument | None = None,
) -> Generated:
    """Store the W-Matrix and its report; `instrument` is what measured figures were measured with.

    Raises StorageUnavailable; then at most an unreferenced file is left.
    """
    document = w_matrix.document
    source = ModelIdentity(document.source_model, document.source_weights)
    target = ModelIdentity(document.target_model, document.target_weights)
    file = blobs.put(w_matrix.write)
    report = store_report(EvaluationReport(source, target, file, quality, layers, documents, dict(settings)))
    return Generated(
        version=document.version,
        source=source,
        target=target,
        method=document.method.value,
        standard=document.standard,
        source_dimension=document.source_dimension,
        unified_dimension=document.unified_dimension,
        target_dimension=document.target_dimension,
        file=file,
        file_size=blobs.size(file),
        report=report.digest,
        report_size=report.size,
        quality=quality,
        space=document.space,
        instrument=instrument,
    )


def store_report(report: EvaluationReport) -> StoredFile:
    """Store a report as canonical JSON. Raises StorageUnavailable."""
    content = canonical(plain(report))
    return StoredFile(blobs.put_bytes(content), len(content))


def inputs_digest(**inputs: object) -> str:
    """Return the hex SHA-256 of everything a result depends on, as canonical JSON."""
    return hashlib.sha256(canonical(plain(inputs))).hexdigest()


def recall(inputs: str, *, cache: Path) -> Generated | None:
    """Return the result that was made from these inputs before, or None if there is none or its files are gone."""
    generated = _read(_record(inputs, cache))
    if generated is None:
        return None
    return generated if blobs.exists(generated.file) and blobs.exists(generated.report) else None


def remembered(*, cache: Path) -> Iterator[Generated]:
    """Yield every result that is recorded for `recall`."""
    found = (_read(path) for path in (cache / FOLDER).glob("*.json"))
    yield from (each for each in found if each is not None)


def remember(inputs: str, generated: Generated, *, cache: Path) -> None:
    """Record the result of these inputs for `recall`. Raises StorageUnavailable."""
    path = _record(inputs, cache)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
            temporary.write(canonical(plain(generated)))
        Path(temporary.name).replace(path)
    except OSError as error:
        raise StorageUnavailable(f"the result could not be kept in {path.parent}: {error.strerror}") from error


def _read(record: Path) -> Generated | None:
    try:
        return msgspec.convert(msgspec.json.decode(record.read_bytes()), Generated, strict=False)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _record(inputs: str, cache: Path) -> Path:
    return cache / FOLDER / f"{inputs}.json"
