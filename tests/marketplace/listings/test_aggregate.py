"""The decisions themselves: pure functions, no database."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import Conflict, NotFound
from latentmas.protocol.quality import Basis
from latentmas.protocol.versions import Version
from marketplace.listings.aggregate import (
    ListingState,
    decide_create,
    decide_publish,
    evolve,
)
from marketplace.listings.certificates.decisions import decide_certify
from marketplace.listings.events.certification import VersionMeasured
from marketplace.listings.events.listing import StoredFile, VersionPublished
from marketplace.listings.lifecycle.decisions import decide_yank
from tests.marketplace import sample

PUBLISHED = VersionPublished(
    version="1.0.0",
    method="learned",
    standard=4096,
    source_dimension=8,
    unified_dimension=4,
    target_dimension=8,
    source_weights=None,
    target_weights=None,
    file=StoredFile("sha256:" + "1" * 64, 1),
    report=StoredFile("sha256:" + "2" * 64, 1),
    quality=sample.unmeasured(Basis.DECLARED),
)
versions = st.builds(Version, *[st.integers(0, 12)] * 3).map(str)


def after(state, *events):
    for number, data in enumerate(events, start=1):
        recorded = Recorded(
            event_id=uuid4(),
            stream="listing/x",
            version=number,
            type="test",
            schema=1,
            data=data,
            metadata=Metadata("test"),
            recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
            position=number,
        )
        state = evolve(state, recorded)
    return state


CREATED = after(ListingState(), *decide_create(ListingState(), sample.listing_created()))


@given(st.lists(versions, max_size=8))
def test_published_versions_only_ever_rise_within_their_major_version(wanted):
    state = CREATED
    for number, version in enumerate(wanted):
        published = replace(PUBLISHED, version=version, file=StoredFile("sha256:" + f"{number:064x}", 1))
        try:
            state = after(state, *decide_publish(state, published))
        except Conflict:
            continue
    kept = [tuple(map(int, each.published.version.split("."))) for each in state.versions]
    offered = [tuple(map(int, version.split("."))) for version in wanted]
    for major in {version[0] for version in offered}:
        own = [version for version in kept if version[0] == major]
        assert own == sorted(set(own))
        assert own[-1] == max(version for version in offered if version[0] == major)


def test_the_same_version_again_is_no_event():
    state = after(CREATED, PUBLISHED)
    assert decide_publish(state, PUBLISHED) == ()


def measured(quality, **changes):
    """The certifier's measurement of PUBLISHED, made here."""
    made = VersionMeasured(
        version="1.0.0",
        file=PUBLISHED.file.digest,
        source_weights="sha256:" + "a" * 64,
        target_weights="sha256:" + "b" * 64,
        instrument=sample.INSTRUMENT,
        report=PUBLISHED.report,
        quality=quality,
        made_here=True,
    )
    return replace(made, **changes)


@given(st.floats(-1, 1.2), st.floats(-1, 1), st.floats(-1, 1))
def test_a_certificate_is_given_exactly_above_the_bars(retention, wrong, eighth):
    quality = sample.functional(retention, wrong=wrong, eighth=eighth)
    state = after(CREATED, PUBLISHED, measured(quality))
    (decision,) = decide_certify(state, "1.0.0", at=sample.AT)
    bars = (quality.retention.wrong_document.high, quality.retention.random_w.high, eighth)
    assert hasattr(decision, "tier") == all(quality.retention.aligned.low > bar for bar in bars)


def test_a_decision_about_an_unknown_version_is_not_found():
    with pytest.raises(NotFound):
        decide_certify(CREATED, "1.0.0", at=sample.AT)
    with pytest.raises(NotFound):
        decide_yank(CREATED, None, version="1.0.0", reason="Why not.")
