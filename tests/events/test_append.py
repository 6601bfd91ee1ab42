"""Appending: expected versions, identities, limits and atomicity."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

import pytest
from django.db import transaction

from latentmas.events import store
from latentmas.events.errors import DuplicateEvent, EventTooLarge, VersionConflict
from latentmas.events.models import Event, LogHead
from latentmas.events.store import New
from latentmas.events.types import event
from latentmas.protocol.errors import InvalidInput
from tests.events.sample import BY, Counted, Noted, Opened, Tally

pytestmark = [pytest.mark.django_db, pytest.mark.store]


@pytest.mark.parametrize("existing", [0, 1, 3])
@pytest.mark.parametrize("expected", [None, 0, 1, 2, 3])
def test_it_appends_exactly_when_the_expected_version_is_the_version(existing: int, expected: int | None) -> None:
    if existing:
        store.append(New("note/1", [Noted("before")] * existing), metadata=BY)
    append = New("note/1", [Noted("now")], expected)
    if expected in (None, existing):
        (recorded,) = store.append(append, metadata=BY)
        assert recorded.version == existing + 1
        assert store.stream_version("note/1") == existing + 1
    else:
        with pytest.raises(VersionConflict) as caught:
            store.append(append, metadata=BY)
        assert caught.value.facts == {"stream": "note/1", "expected": expected, "current": existing}
        assert Event.objects.count() == LogHead.objects.get().position == existing


def test_it_returns_what_a_reader_gets() -> None:
    written = store.append(New("account/1", [Opened("a"), Counted(2)]), metadata=BY)
    assert written == store.read_stream("account/1") == store.read_all()
    assert [each.position for each in written] == [1, 2]
    assert [each.version for each in written] == [1, 2]


def test_it_appends_nothing_for_no_events() -> None:
    assert store.append(New("note/1", []), metadata=BY) == []
    assert LogHead.objects.get().position == 0


def test_it_refuses_an_event_id_that_is_recorded_already() -> None:
    one = uuid4()
    store.append(New("note/1", [Noted("a")], event_ids=[one]), metadata=BY)
    with pytest.raises(DuplicateEvent):
        store.append(New("note/2", [Noted("b"), Noted("c")], event_ids=[uuid4(), one]), metadata=BY)
    assert Event.objects.count() == LogHead.objects.get().position == 1


def test_it_refuses_the_same_event_id_twice_in_one_append() -> None:
    one = uuid4()
    with pytest.raises(DuplicateEvent):
        store.append(New("note/1", [Noted("a")] * 2, event_ids=[one, one]), metadata=BY)
    assert not Event.objects.exists()


def test_several_streams_are_appended_together_in_order() -> None:
    recorded = store.append(New("note/b", [Noted("1")], 0), New("note/a", [Noted("2"), Noted("3")], 0), metadata=BY)
    assert [(each.position, each.stream, each.version) for each in recorded] == [
        (1, "note/b", 1),
        (2, "note/a", 1),
        (3, "note/a", 2),
    ]


def test_a_stream_named_twice_goes_on_where_its_first_part_ended() -> None:
    recorded = store.append(New("note/a", [Noted("1")], 0), New("note/a", [Noted("2")], 1), metadata=BY)
    assert [each.version for each in recorded] == [1, 2]


def test_a_conflict_in_one_of_several_streams_records_none_of_them() -> None:
    store.append(New("note/b", [Noted("1")]), metadata=BY)
    with pytest.raises(VersionConflict, match="note/b"):
        store.append(New("account/1", [Opened("a")], 0), New("note/b", [Noted("2")], 0), metadata=BY)
    assert Event.objects.count() == 1
    assert not Tally.objects.exists()


def test_a_taken_version_that_only_the_database_sees_is_a_conflict_too() -> None:
    store.append(New("account/1", [Opened("a")]), New("note/1", [Noted("1")]), metadata=BY)
    stale = [New("account/1", [Counted(1)]), New("note/1", [Noted("2")])]
    with pytest.raises(VersionConflict, match=r"account/1, note/1") as caught, transaction.atomic():
        store.record(stale, versions={"account/1": 1, "note/1": 0}, metadata=BY)
    assert caught.value.facts == {"streams": ["account/1", "note/1"]}
    assert Tally.objects.get().total == 0


def test_a_failing_projector_records_nothing() -> None:
    store.append(New("account/1", [Opened("a")]), metadata=BY)
    with pytest.raises(Exception, match=r"tally_not_negative"):
        store.append(New("account/1", [Counted(-1)]), metadata=BY)
    assert Event.objects.count() == LogHead.objects.get().position == 1


def test_the_largest_event_that_fits_is_recorded_and_one_byte_more_is_not() -> None:
    store.append(New("note/1", [Noted("")]), metadata=BY)
    room = 32 * 1024 - len(bytes(Event.objects.get().body))
    store.append(New("note/2", [Noted("x" * room)]), metadata=BY)
    assert len(bytes(Event.objects.get(stream="note/2").body)) == 32 * 1024
    with pytest.raises(EventTooLarge, match="32769 bytes"):
        store.append(New("note/3", [Noted("x" * (room + 1))]), metadata=BY)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800"], ids=["nul", "nul inside", "half a surrogate pair"])
def test_it_refuses_text_that_not_every_engine_can_store(text: str) -> None:
    with pytest.raises(InvalidInput):
        store.append(New("note/1", [Noted(text)]), metadata=BY)
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "stream", ["", "x" * 201, "note/\x00", "note/\ud800"], ids=["empty", "too long", "nul", "surrogate"]
)
def test_it_refuses_a_stream_name_that_does_not_fit(stream: str) -> None:
    with pytest.raises(InvalidInput):
        store.append(New(stream, [Noted("a")]), metadata=BY)
    assert not Event.objects.exists()


def test_it_refuses_an_event_that_could_not_be_read_again() -> None:
    with pytest.raises(InvalidInput, match="does not fit its own type"):
        store.append(New("account/1", [Counted("many")]), metadata=BY)  # type: ignore[arg-type]
    assert not Event.objects.exists()


def test_it_refuses_what_is_not_an_event() -> None:
    with pytest.raises(TypeError, match="str is not an event type"):
        store.append(New("note/1", ["text"]), metadata=BY)


def test_floats_are_stored_as_text_and_come_back_as_the_same_float() -> None:
    store.append(New("account/1", [Opened("a", rate=0.1 + 0.2)]), metadata=BY)
    assert Event.objects.get().payload == {"name": "a", "rate": "0.30000000000000004"}
    assert store.read_all()[0].data.rate == 0.1 + 0.2
    assert Tally.objects.get().rate == 0.1 + 0.2


@pytest.mark.parametrize("rate", [float("nan"), float("inf")])
def test_it_refuses_a_float_that_is_not_a_number(rate: float) -> None:
    with pytest.raises(InvalidInput):
        store.append(New("account/1", [Opened("a", rate=rate)]), metadata=BY)


def test_moments_enum_members_and_nested_values_come_back_as_they_were() -> None:
    class Colour(StrEnum):
        RED = "red"

    @dataclass(frozen=True)
    class Inner:
        at: datetime
        colour: Colour

    @dataclass(frozen=True)
    class Happened:
        inner: tuple[Inner, ...]
        big: int

    event("sample.happened")(Happened)
    happened = Happened((Inner(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), Colour.RED),), 10**30)
    store.append(New("thing/1", [happened]), metadata=BY)
    assert store.read_all()[0].data == happened


def test_the_columns_repeat_the_body() -> None:
    (recorded,) = store.append(New("account/1", [Opened("ü")]), metadata=BY)
    row = Event.objects.get()
    assert (row.stream, row.version, row.type, row.schema) == ("account/1", 1, "sample.opened", 1)
    assert row.metadata == {"actor": "test:sample", "request_id": "r-1", "correlation_id": None, "causation_id": None}
    assert row.recorded_at == recorded.recorded_at
    assert bytes(row.body).startswith(b'{"event_id":"')
    assert "ü".encode() in bytes(row.body)
