"""A long log for benchmarks: listings with two certified versions each, past the commands. Nothing was measured."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction

from latentmas.events import statements
from latentmas.events.records import columns, prepare
from latentmas.events.types import Metadata
from latentmas.protocol.certification import Grade, Tier
from latentmas.protocol.quality import Basis, Corpus, Instrument, Interval, Quality, Retention, declared
from marketplace.listings.events.certification import VersionCertified, VersionMeasured
from marketplace.listings.events.listing import ListingCreated, ModelLicence, Money, StoredFile, VersionPublished
from marketplace.texts.free_text import FreeText

BY = Metadata(actor="benchmark:log", request_id="benchmark")
AT = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 5000  # events a transaction
SOURCE, TARGET = "smollm2-135m", "gemma-3-270m"
DIGEST = "sha256:" + "a" * 64
FIGURE = Interval(0.9, 0.88, 0.92)
QUALITY = Quality(
    basis=Basis.FUNCTIONAL,
    epsilon=0.1,
    information_retention=0.7,
    cosine_similarity=0.91,
    euclidean_distance=0.4,
    computational_cost=21_000_000,
    test_samples=1200,
    documents=40,
    confidence=0.88,
    retention=Retention(FIGURE, FIGURE, FIGURE, FIGURE, FIGURE, FIGURE),
    corpus=Corpus("benchmark", DIGEST, 40),
)


def write(events: Iterator[tuple[str, int, object]], count: int) -> None:
    """Append so many events with right positions, bodies and leaf hashes; nothing is projected."""
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        with transaction.atomic():
            first = statements.take_head(size) - size + 1
            rows = []
            for position in range(first, first + size):
                stream, version, data = next(events)
                prepared = prepare(data, stream=stream, version=version, event_id=uuid4(), metadata=BY, recorded_at=AT)
                rows.append(columns(prepared, position))
            statements.insert(rows)


def listings(quality: Quality = QUALITY) -> Iterator[tuple[str, int, object]]:
    """Yield stream, version in it and event, listing after listing, without end, all of the same quality."""
    number = 0
    while True:
        identifier = str(UUID(int=number))
        events = [_created(identifier)]
        for name in ("1.0.0", "1.0.1"):
            events += [_published(name, quality), _measured(name, quality), _certified(name)]
        for version, data in enumerate(events, start=1):
            yield f"listing/{identifier}", version, data
        number += 1


def _created(identifier: str) -> object:
    return ListingCreated(
        listing_id=identifier,
        title=FreeText(f"{SOURCE} to {TARGET}"),
        description=FreeText("Made for a benchmark; nothing was measured."),
        source_model=SOURCE,
        target_model=TARGET,
        seller="agent:benchmark",
        price=Money(0, "USD"),
        licences=(ModelLicence(SOURCE, "Apache-2.0", None), ModelLicence(TARGET, "Gemma Terms of Use", None)),
    )


def _published(version: str, quality: Quality) -> object:
    return VersionPublished(
        version=version,
        method="learned",
        standard=4096,
        source_dimension=11_520,
        unified_dimension=1024,
        target_dimension=9_216,
        source_weights=DIGEST,
        target_weights=DIGEST,
        file=StoredFile(DIGEST, 1),
        report=StoredFile(DIGEST, 1),
        quality=declared(quality),
    )


def _measured(version: str, quality: Quality) -> object:
    return VersionMeasured(
        version=version,
        file=DIGEST,
        source_weights=DIGEST,
        target_weights=DIGEST,
        instrument=Instrument("benchmark", 7, "cpu/float32"),
        report=StoredFile(DIGEST, 1),
        quality=quality,
        made_here=True,
    )


def _certified(version: str) -> object:
    return VersionCertified(
        version=version,
        tier=Tier.BRONZE,
        grade=Grade.POOR,
        epsilon=0.12,
        issued_at=AT,
        expires_at=AT + timedelta(days=365),
    )
