"""Requests for a W-Matrix (specification C.1): check one, choose its calibration packs, render its result.

Everything that can be refused is refused here, before the job in `factory/jobs.py` begins to work.
"""

from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from factory.corpora import corpus_with
from factory.models import CalibrationPack
from factory.packs.geometry import require_cache
from factory.packs.pack import OpenedPack, open_pack
from factory.packs.pairs import CHUNK_ROWS, require_same_corpus, shared_tokens
from factory.queries import get_pack, require_not_refused
from factory.recipes import results
from latentmas import blobs
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, WMatrixNotFound
from latentmas.protocol.w_matrix import Method, Space
from latentmas.registry.models import RegisteredModel
from latentmas.registry.queries import get_model
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.models import ListingVersion

RECIPE = "packs/3"  # changes whenever the same packs would give another W-Matrix


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A checked request: registry names, pack digests. `unified_dimension` None: chosen on the selection rows."""

    source: str
    target: str
    method: Method
    source_pack: str
    target_pack: str
    unified_dimension: int | None = None

    @property
    def inputs(self) -> str:
        """The hex SHA-256 of everything the result depends on."""
        return results.inputs_digest(recipe=f"{RECIPE}+{results.RECIPE}", **asdict(self))

    def packs(self) -> tuple[OpenedPack, OpenedPack]:
        """Return both packs, opened. Raises NotFound where a file is gone."""
        source, target = (open_pack(blobs.local_path(digest)) for digest in (self.source_pack, self.target_pack))
        return source, target


def plan(
    *,
    source_model: str,
    target_model: str,
    method: Method,
    source_pack: str | None = None,
    target_pack: str | None = None,
    unified_dimension: int | None = None,
) -> GenerationRequest:
    """Check a request and return it with its packs, which are chosen here where it names none.

    Raises ModelNotSupported, WMatrixNotFound (a pack is missing), DimensionMismatch, NotFound (no such pack) or
    InvalidInput (same model, other corpora, too few rows).
    """
    source, target = (get_model(name, require_active=True) for name in (source_model, target_model))
    if source.name == target.name:
        raise InvalidInput(
            f"source and target are the same model, {source.name!r}; its memory needs no W-Matrix", field="target_model"
        )
    for model in (source, target):
        require_cache(model)
    ours, theirs = _choose(source, target, source_pack, target_pack)
    chosen = GenerationRequest(source.name, target.name, method, ours.digest, theirs.digest, unified_dimension)
    _require_rows(chosen)
    return chosen


def made_before(request: GenerationRequest) -> ListingVersion | None:
    """Return the listed version that an equal request has given before; None if there is none or it was yanked."""
    result = results.recall(request.inputs, cache=settings.CACHE_DIR)
    if result is None:
        return None
    return ListingVersion.objects.filter(file_digest=result.file, access=Access.PUBLIC, offered=True).first()


def result_of(version: ListingVersion, request: GenerationRequest) -> dict[str, Any]:
    """Return the specification's answer for a listed version, extended by basis, packs, certificate and URL."""
    quality = version.quality
    kept = float(quality["information_retention"])
    return {
        "version": version.version,
        "unified_dimension": version.unified_dimension,
        "quality_metrics": {
            "expected_quality": kept,
            "information_retention": kept,
            "computational_cost": quality["computational_cost"],
        },
        "basis": version.basis,
        "method": version.method,
        "source_model": version.source_model,
        "target_model": version.target_model,
        "source_pack": request.source_pack,
        "target_pack": request.target_pack,
        "listing_id": version.listing_id,
        "digest": version.file_digest,
        "size": version.file_size,
        "certificate": _certificate(version),
        "url": f"/api/w-matrices/{version.listing_id}/versions/{version.version}",
    }


def _certificate(version: ListingVersion) -> dict[str, Any]:
    if version.tier is None or version.certified_until is None:
        decision = "pending" if version.refusal_code is None else "refused"
        return {"decision": decision, "code": version.refusal_code, "reasons": version.refusal_reasons}
    return {
        "decision": "certified",
        "tier": version.tier,
        "grade": version.grade,
        "expires_at": version.certified_until.isoformat(),
    }


def _choose(
    source: RegisteredModel, target: RegisteredModel, source_pack: str | None, target_pack: str | None
) -> tuple[CalibrationPack, CalibrationPack]:
    """Return two packs of one corpus: the named ones, else captured here before contributed, then the largest."""
    ours, theirs = _candidates(source, source_pack, "source_pack"), _candidates(target, target_pack, "target_pack")
    if missing := [model for model, packs in ((source, ours), (target, theirs)) if not packs]:
        raise _missing(source, target, missing)
    pairs = [(mine, other) for mine in ours for other in theirs if mine.corpus_digest == other.corpus_digest]
    if not pairs:
        fixed, other = (theirs[0], source) if target_pack and not source_pack else (ours[0], target)
        mine, others = (", ".join(sorted({pack.corpus for pack in packs})) for packs in (ours, theirs))
        raise InvalidInput(
            f"the packs are of different corpora: {source.name} has {mine}, {target.name} has {others}",
            resolution=f"Make another of {other.name} on {fixed.corpus}. {_how_to_make(other, corpus=fixed)}",
            field="target_pack" if other is target else "source_pack",
        )
    return max(
        pairs,
        key=lambda pair: (
            sum(each.contributor is None for each in pair),  # captured by this server
            min(each.calibration_tokens for each in pair),
            max(each.recorded_at for each in pair),
            pair[0].digest,
            pair[1].digest,
        ),
    )


def _candidates(model: RegisteredModel, digest: str | None, field: str) -> list[CalibrationPack]:
    """Return the named pack alone, or without a name every stored one that fits the model and was not refused."""
    if digest is None:
        rows = CalibrationPack.objects.filter(model=model.name, space=Space.KV_CACHE, refused__isnull=True)
        return [row for row in rows if blobs.exists(row.digest) and _fits(row, model)]
    row = get_pack(digest)
    require_not_refused(row, field=field)
    if row.model != model.name or row.space != Space.KV_CACHE:
        raise InvalidInput(
            f"the pack {digest} holds {row.space} rows of {row.model}, not the KV-cache of {model.name}", field=field
        )
    if not _fits(row, model):
        raise DimensionMismatch(
            f"the rows of the pack {digest} are {row.width} wide; the registry says that those of {model.name} are "
            f"{model.kv_width}",
            resolution=f"Make another pack: {_how_to_make(model)}",
            field=field,
            expected=model.kv_width,
            given=row.width,
        )
    return [row]


def _fits(row: CalibrationPack, model: RegisteredModel) -> bool:
    return model.kv_width in (None, row.width)


def _missing(source: RegisteredModel, target: RegisteredModel, missing: list[RegisteredModel]) -> WMatrixNotFound:
    names = " and ".join(model.name for model in missing)
    return WMatrixNotFound(
        f"there is nothing to make a W-Matrix from {source.name} to {target.name} from: no calibration pack of {names} "
        "is stored",
        resolution=" ".join(_how_to_make(model) for model in missing)
        + " Until then let the target model read the text itself.",
        missing=[model.name for model in missing],
    )


def _how_to_make(model: RegisteredModel, *, corpus: CalibrationPack | None = None) -> str:
    if not model.open_weights:
        return f"The weights of {model.name} are closed: its owner can send a pack with POST /api/calibration-packs."
    known = None if corpus is None else corpus_with(digest=corpus.corpus_digest)
    option = "" if corpus is None else f" --corpus {known.location if known else 'PATH'}"
    return f"Run `manage.py calibrate {model.name}{option}`, or send a pack with POST /api/calibration-packs."


def _require_rows(request: GenerationRequest) -> None:
    """Raise InvalidInput if the packs share too little text, or the rank exceeds the row width or the shared rows."""
    source, target = request.packs()
    require_same_corpus(source, target)
    if (rank := request.unified_dimension) is None:
        return
    widest = min(source.document.width, target.document.width)
    if rank > widest:
        raise InvalidInput(
            f"the unified dimension is {rank}; between {request.source} and {request.target} it can be {widest} "
            "at most",
            field="unified_dimension",
        )
    if (rows := shared_tokens(source, target) // CHUNK_ROWS * CHUNK_ROWS) <= rank:  # whole chunks are fitted on
        raise InvalidInput(
            f"a unified dimension of {rank} needs more than {rank} paired rows; the packs share {rows}",
            resolution=f"Ask for less than {rows}, or make packs of a larger corpus.",
            field="unified_dimension",
        )
