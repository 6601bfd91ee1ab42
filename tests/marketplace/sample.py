"""Test data: listings made through the commands from figures written here. None of them was measured."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.canonical import canonical, plain
from latentmas.protocol.money import Money
from latentmas.protocol.quality import (
    MEASURED,
    SAMPLED,
    Basis,
    Cell,
    Corpus,
    DocumentScore,
    EvaluationReport,
    Instrument,
    Interval,
    LayerFidelity,
    ModelIdentity,
    PrivateCells,
    Quality,
    Retention,
    SuiteFigures,
    TokenMode,
    declared,
)
from marketplace.listings.aggregate import listing_id_for
from marketplace.listings.commands import certify_version, create_listing, measure_version, publish_version
from marketplace.listings.events.certification import VersionMeasured
from marketplace.listings.events.listing import ListingCreated, ModelLicence, StoredFile, VersionPublished
from marketplace.listings.lifecycle.commands import By
from marketplace.texts.free_text import FreeText

METADATA = Metadata(actor="command:test")
CURATOR = By(agent=None, metadata=METADATA)
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SOURCE, TARGET = "smollm2-135m", "gemma-3-270m"
INSTRUMENT = Instrument(code="arms/test", seed=7, numerics="cpu/float32")
CORPUS = Corpus(name="test corpus", digest="sha256:" + "c" * 64, documents=40)


def interval(value: float, spread: float = 0.02) -> Interval:
    return Interval(value=value, low=value - spread, high=value + spread)


def functional(retention: float = 0.97, *, wrong: float = -0.2, eighth: float = 0.5) -> Quality:
    """Figures of a target model that was run; certified where `retention` is above the other two."""
    return Quality(
        basis=Basis.FUNCTIONAL,
        epsilon=min(1.0, max(0.0, 1 - retention)),
        information_retention=0.7,
        cosine_similarity=0.91,
        euclidean_distance=0.4,
        computational_cost=21_000_000,
        test_samples=1200,
        documents=40,
        confidence=retention - 0.02,
        retention=Retention(
            aligned=interval(retention),
            wrong_document=interval(wrong),
            random_w=interval(-0.4),
            text_half=interval(0.88),
            text_quarter=interval(0.7),
            text_eighth=interval(eighth),
        ),
        corpus=CORPUS,
    )


def cell(register: str, length: int, retention: float | None, **figures: object) -> Cell:
    """A cell above its controls where `retention` is above 0.55; None leaves it unmeasured."""
    if retention is None:
        return Cell(register, length, documents=4, scored_tokens=0)
    measured = Cell(
        register,
        length,
        documents=24,
        scored_tokens=1536,
        aligned=interval(retention),
        source_tokens=interval(retention - 0.1),
        left_out=interval(retention - 0.05),
        wrong_document=interval(-0.2),
        own_tokens=interval(0.1),
        tokens_only=interval(0.2),
        random_w=interval(-0.4),
        text_eighth=interval(0.5),
        reread=interval(retention + 0.05),
        reread_nothing=interval(0.45),
        reread_stranger=interval(0.4),
        in_place=interval(retention + 0.1),
        in_place_stranger=interval(0.45),
        in_place_alone=interval(0.48),
    )
    return replace(measured, **figures)


def suite(*cells: Cell, name: str = "suite/1") -> SuiteFigures:
    return SuiteFigures(name, "sha256:" + "e" * 64, TokenMode.TOKENS_KNOWN, cells)


SUITE = suite(
    cell("news", 256, 0.86),
    cell("code", 256, 0.75),
    cell(SAMPLED, 256, 0.4),
    cell("news", 1024, None),
    cell("code", 1024, 0.71),
    cell(SAMPLED, 1024, 0.35),
    cell("news", 2048, 0.66),
    cell("code", 2048, 0.51),  # its last eighth as text is as good
    cell(SAMPLED, 2048, None),
)


def with_suite(figures: SuiteFigures = SUITE) -> Quality:
    """Figures by register and length: by default certified for up to 1 024 tokens, at 2 048 code fails."""
    return replace(functional(0.86), suite=figures)


def unmeasured(basis: Basis = Basis.SIMULATED, epsilon: float = 0.03) -> Quality:
    return replace(functional(), basis=basis, epsilon=epsilon, retention=None, confidence=None)


def listing_id_for_seller(seller: str) -> str:
    return listing_id_for(source=SOURCE, target=TARGET, seller=seller, basis=Basis.FUNCTIONAL)


def listing_created(source: str = SOURCE, target: str = TARGET, **changes: object) -> ListingCreated:
    created = ListingCreated(
        listing_id=listing_id_for(source=source, target=target, seller="agent:test", basis=Basis.FUNCTIONAL),
        title=FreeText(f"{source} to {target}"),
        description=FreeText("Made for a test."),
        source_model=source,
        target_model=target,
        seller="agent:test",
        price=Money(0, "USD"),
        licences=(
            ModelLicence(source, "Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
            ModelLicence(target, "Gemma Terms of Use", "https://ai.google.dev/gemma/terms"),
        ),
    )
    return replace(created, **changes)


def report_of(quality: Quality, *, w_matrix: str, layers: int = 3) -> EvaluationReport:
    run = quality.basis is Basis.FUNCTIONAL
    return EvaluationReport(
        source=ModelIdentity(SOURCE, "sha256:" + "a" * 64 if run else None),
        target=ModelIdentity(TARGET, "sha256:" + "b" * 64 if run else None),
        w_matrix=w_matrix,
        quality=quality,
        layers=tuple(
            LayerFidelity(layer, 0.9 - layer / 100, 0.4, 0.8 - layer / 100, 0.5, 0.95 if run else None)
            for layer in range(layers)
        ),
        documents=(DocumentScore("0" * 16, 30, {"none": 4.0, "own": 3.0, "aligned": 3.1}),) if run else (),
        settings={"test": "data"},
    )


def published(
    version: str = "1.0.0", *, quality: Quality | None = None, content: bytes | None = None, **changes: object
) -> VersionPublished:
    """Return a version whose file and report are stored; its figures are declared."""
    quality = quality or functional()
    content = content or f"test file {version} {quality}".encode()
    digest = blobs.put_bytes(content)
    report = canonical(plain(report_of(quality, w_matrix=digest)))
    publication = VersionPublished(
        version=version,
        method="learned",
        standard=4096,
        source_dimension=11_520,
        unified_dimension=1024,
        target_dimension=9_216,
        source_weights="sha256:" + "a" * 64,
        target_weights="sha256:" + "b" * 64,
        file=StoredFile(digest, len(content)),
        report=StoredFile(blobs.put_bytes(report), len(report)),
        quality=declared(quality),
    )
    return replace(publication, **changes)


def measured(publication: VersionPublished, quality: Quality, **changes: object) -> VersionMeasured:
    """Return the certifier's measurement of a version of this server's own."""
    report = canonical(plain(report_of(quality, w_matrix=publication.file.digest)))
    made = VersionMeasured(
        version=publication.version,
        file=publication.file.digest,
        source_weights=publication.source_weights or "sha256:" + "a" * 64,
        target_weights=publication.target_weights or "sha256:" + "b" * 64,
        instrument=INSTRUMENT,
        report=StoredFile(blobs.put_bytes(report), len(report)),
        quality=quality,
        made_here=True,
    )
    return replace(made, **changes)


def private(*, passed: bool = True) -> PrivateCells:
    return PrivateCells(rotation=1, passed=passed, commitment="sha256:" + "d" * 64)


def publish(
    listing_id: str, version: str = "1.0.0", *, quality: Quality | None = None, **changes: object
) -> VersionPublished:
    """Publish a version and, where its figures are measured ones, record the measurement."""
    quality = quality or functional()
    publication = published(version, quality=quality, **changes)
    publish_version(listing_id, published=publication, metadata=METADATA)
    if quality.basis in MEASURED:
        measure_version(listing_id, measured=measured(publication, quality))
    return publication


def make_listing(
    source: str = SOURCE,
    target: str = TARGET,
    *,
    quality: Quality | None = None,
    certify: bool = True,
    at: datetime = AT,
    **changes: object,
) -> str:
    """Create a listing with version 1.0.0, measured, certified or refused, and return its id."""
    created = listing_created(source, target, **changes)
    create_listing(created, metadata=METADATA)
    publish(created.listing_id, quality=quality)
    if certify:
        certify_version(created.listing_id, version="1.0.0", at=at, metadata=METADATA)
    return created.listing_id


def make_many(count: int, *, basis: Basis = Basis.SIMULATED) -> list[str]:
    """Create `count` listings of one pair with rising epsilon, under as many sellers."""
    return [
        make_listing(
            quality=unmeasured(basis, epsilon=index / 1000),
            listing_id=listing_id_for(source=SOURCE, target=TARGET, seller=f"agent:{index}", basis=basis),
            seller=f"agent:{index}",
            certify=False,
        )
        for index in range(count)
    ]


def same_quality(stored: object, quality: Quality) -> bool:
    return msgspec.convert(stored, Quality) == quality
