"""Reading: pages in both directions, upcasters, and bodies that this code cannot read."""

from dataclasses import dataclass

import pytest

from latentmas.events import store, triggers, types
from latentmas.events.errors import LogCorrupted
from latentmas.events.models import Event
from latentmas.events.store import New
from latentmas.events.types import event, upcaster
from tests.events.sample import BY, Counted, Noted, Opened, register

pytestmark = [pytest.mark.django_db, pytest.mark.store]


@pytest.fixture
def _seven() -> None:
    for number in range(7):
        store.append(New(f"note/{number % 2}", [Noted(str(number))]), metadata=BY)


def positions(events: list[types.Recorded]) -> list[int]:
    return [each.position for each in events]


@pytest.mark.usefixtures("_seven")
def test_the_log_is_read_forwards_in_pages() -> None:
    assert positions(store.read_all(limit=3)) == [1, 2, 3]
    assert positions(store.read_all(after=3, limit=3)) == [4, 5, 6]
    assert positions(store.read_all(after=6, limit=3)) == [7]
    assert store.read_all(after=7, limit=3) == []


@pytest.mark.usefixtures("_seven")
def test_the_log_is_read_backwards_in_pages() -> None:
    assert positions(store.read_all_backwards(limit=3)) == [7, 6, 5]
    assert positions(store.read_all_backwards(before=5, limit=3)) == [4, 3, 2]
    assert positions(store.read_all_backwards(before=2, limit=3)) == [1]
    assert store.read_all_backwards(before=1) == []


@pytest.mark.usefixtures("_seven")
def test_batches_cover_the_log_once() -> None:
    assert [positions(page) for page in store.batches(size=3)] == [[1, 2, 3], [4, 5, 6], [7]]
    assert [positions(page) for page in store.batches(after=6)] == [[7]]


@pytest.mark.usefixtures("_seven")
def test_a_stream_is_read_from_a_version_on() -> None:
    assert [(each.version, each.data.text) for each in store.read_stream("note/1", after=1)] == [(2, "3"), (3, "5")]
    assert store.read_stream("note/9") == []
    assert store.stream_versions(["note/0", "note/9"]) == {"note/0": 4, "note/9": 0}
    assert store.head_position() == 7


def test_old_payloads_pass_every_upcaster_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(New("account/1", [Opened("a"), Counted(2)]), metadata=BY)
    monkeypatch.setattr(types, "_BY_NAME", {})
    monkeypatch.setattr(types, "_BY_CLASS", {})
    event("sample.opened")(Opened)

    @event("sample.counted", schema=3)
    @dataclass(frozen=True)
    class CountedNow:
        cents: int
        currency: str

    @upcaster("sample.counted", from_schema=1)
    def _(payload: types.Payload) -> types.Payload:
        return {"cents": payload["amount"] * 100}

    @upcaster("sample.counted", from_schema=2)
    def _(payload: types.Payload) -> types.Payload:
        return payload | {"currency": "EUR"}

    old = store.read_stream("account/1")[1]
    assert old.data == CountedNow(200, "EUR")
    assert old.schema == 1
    store.append(New("account/1", [CountedNow(5, "USD")]), metadata=BY)
    assert store.read_stream("account/1")[2].data == CountedNow(5, "USD")
    assert Event.objects.get(version=3).schema == 3


def test_a_missing_upcaster_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(New("note/1", [Noted("a")]), metadata=BY)
    monkeypatch.setattr(types, "_BY_NAME", {})
    event("sample.noted", schema=2)(Noted)
    with pytest.raises(LogCorrupted, match="no upcaster from schema 1"):
        store.read_all()


def test_an_unknown_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(New("note/1", [Noted("a")]), metadata=BY)
    monkeypatch.setattr(types, "_BY_NAME", {})
    with pytest.raises(LogCorrupted, match=r"unknown event type 'sample\.noted'"):
        store.read_all()


def test_an_event_of_newer_code_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "_BY_NAME", {})
    event("sample.noted", schema=2)(Noted)
    store.append(New("note/1", [Noted("a")]), metadata=BY)
    types._BY_NAME.clear()
    register_again(monkeypatch)
    with pytest.raises(LogCorrupted, match="written with schema 2; this code knows 1"):
        store.read_all()


def register_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from latentmas.events import projections

    monkeypatch.setattr(projections, "_PROJECTORS", {})
    register()


@pytest.mark.parametrize("body", [b"not json", b"[]", b"{}", b'{"event_id": 1}'])
def test_a_damaged_body_is_named_with_its_position(body: bytes) -> None:
    store.append(New("note/1", [Noted("a")]), metadata=BY)
    with triggers.lifted():
        Event.objects.update(body=body)
    with pytest.raises(LogCorrupted, match="position 1"):
        store.read_all()


def test_the_body_is_what_is_read_not_the_columns() -> None:
    store.append(New("note/1", [Noted("a")]), metadata=BY)
    with triggers.lifted():
        Event.objects.update(payload={"text": "b"})
    assert store.read_all()[0].data == Noted("a")


@pytest.mark.parametrize("name", ["Created", "listing", "listing created", "x." + "y" * 99, ""])
def test_an_event_type_needs_a_name_of_two_parts(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        event(name)(Noted)


def test_an_event_type_is_a_frozen_dataclass_and_registered_once() -> None:
    with pytest.raises(TypeError, match="not a frozen dataclass"):
        event("sample.thawed")(dataclass(type("Thawed", (), {})))
    with pytest.raises(ValueError, match="registered twice"):
        event("sample.noted")(Noted)
    upcaster("sample.noted", from_schema=1)(dict)
    with pytest.raises(ValueError, match="two upcasters"):
        upcaster("sample.noted", from_schema=1)(dict)
