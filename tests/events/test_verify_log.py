"""verify_log finds what was changed behind the store's back, and says where."""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from latentmas.events import store, triggers, types, verification
from latentmas.events.models import Event, LogHead
from latentmas.events.records import leaf_hash
from latentmas.events.store import New
from latentmas.events.verification import Fault, verify
from latentmas.protocol.canonical import canonical
from tests.events.sample import BY, Counted, Noted, Opened

pytestmark = [pytest.mark.django_db, pytest.mark.store]


@pytest.fixture(autouse=True)
def _log() -> None:
    store.append(New("account/1", [Opened("ä\u2028", rate=0.1), Counted(10**15)]), metadata=BY)
    store.append(New("note/1", [Noted('"\\ \n')]), New("account/1", [Counted(3)]), metadata=BY)


def tamper(position: int, **columns: object) -> None:
    with triggers.lifted():
        Event.objects.filter(position=position).update(**columns)


def reseal(position: int, change: Callable[[dict[str, object]], object]) -> None:
    """Change a body as somebody would who knows how leaf hashes are made."""
    row = Event.objects.get(position=position)
    document = json.loads(bytes(row.body))
    change(document)
    body = canonical(document)
    tamper(position, body=body, leaf_hash=leaf_hash(position, row.type, row.stream, bytes(row.salt), body))


def test_an_untouched_log_has_no_fault() -> None:
    assert list(verify()) == []


def test_an_empty_log_has_no_fault() -> None:
    with triggers.lifted():
        Event.objects.all().delete()
        LogHead.objects.update(position=0)
    assert list(verify()) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("payload", {"text": "other"}),
        ("metadata", {"actor": "user:1"}),
        ("event_id", "00000000-0000-0000-0000-000000000000"),
        ("schema", 2),
        ("recorded_at", "2020-01-01T00:00:00Z"),
    ],
)
def test_a_column_that_contradicts_the_body_is_found(column: str, value: object) -> None:
    tamper(3, **{column: value})
    assert list(verify()) == [Fault(3, f"the column {column} does not repeat the body")]


def test_a_changed_body_is_found_by_its_leaf_hash() -> None:
    body = bytes(Event.objects.get(position=2).body)
    tamper(2, body=body.replace(b"1000", b"2000"))
    assert list(verify()) == [
        Fault(2, "the leaf hash does not fit the body, type, stream and position"),
        Fault(2, "the column payload does not repeat the body"),
    ]


@pytest.mark.parametrize("column", ["salt", "leaf_hash"])
def test_a_changed_salt_or_hash_is_found(column: str) -> None:
    tamper(4, **{column: b"x"})
    assert [fault.position for fault in verify()] == [4]


def test_a_body_resealed_with_a_right_hash_still_contradicts_its_columns() -> None:
    reseal(4, lambda document: document["payload"].update(amount=4000))
    assert list(verify()) == [Fault(4, "the column payload does not repeat the body")]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"\xff", "not canonical JSON"),
        (b'{"a": 1}', "written in another way"),
        (b'{"a":1.5}', "floating-point"),
        (b'{"a":NaN}', "not canonical JSON"),
        (b'{"a":-0}', "written in another way"),
        (b'{"a":1,"a":1}', "written in another way"),
        (b'{"a":"\\u00e9"}', "written in another way"),
        (b"[" * 20_000, "nested too deeply"),
        (b"[]", "not an object"),
        (b'{"a":1}', "the body has the fields a"),
    ],
)
def test_a_body_that_is_not_canonical_is_found(body: bytes, what: str) -> None:
    row = Event.objects.get(position=1)
    tamper(1, body=body, leaf_hash=leaf_hash(1, row.type, row.stream, bytes(row.salt), body))
    (fault,) = verify()
    assert fault.position == 1
    assert what in fault.what


def test_the_canonical_form_is_the_writers_for_every_character() -> None:
    """The check reads and writes JSON by another library than the writer's: they must agree on every escape."""
    characters = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    document = {"text": "".join(characters), "of keys": dict.fromkeys(characters[::97], 1 << 70)}
    assert verification.ENCODER.encode(verification.DECODER.decode(canonical(document))) == canonical(document)


def test_a_gap_longer_than_a_page_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "PAGE", 1)
    with triggers.lifted():
        Event.objects.filter(position__in=[1, 2, 3]).delete()
    assert Fault(1, "no event between 0 and 4: 3 missing") in list(verify())


def test_a_missing_event_is_found_as_a_gap_and_in_its_stream() -> None:
    with triggers.lifted():
        Event.objects.filter(position=2).delete()
    assert list(verify()) == [
        Fault(4, "the stream 'account/1' has version 3 where 2 is due"),
        Fault(2, "no event between 1 and 3: 1 missing"),
    ]


def test_missing_last_events_are_found_by_the_head_row() -> None:
    with triggers.lifted():
        Event.objects.filter(position=4).delete()
    assert list(verify()) == [Fault(None, "the head row says 4, but the last event is at 3")]


def test_a_missing_head_row_is_found() -> None:
    triggers.remove()
    LogHead.objects.all().delete()
    assert list(verify()) == [Fault(None, "the head row is missing")]


def test_exchanged_versions_are_found() -> None:
    tamper(1, version=99)
    tamper(2, version=1)
    tamper(1, version=2)
    assert [fault.position for fault in verify()] == [1, 2, 1, 2]


def test_unknown_types_and_newer_schemas_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(types._BY_NAME, "sample.noted")
    monkeypatch.setattr(types._BY_NAME["sample.opened"], "schema", 0)
    assert list(verify()) == [
        Fault(1, "the event type 'sample.opened' has the schema 1; this code knows 1 to 0"),
        Fault(3, "the event type 'sample.noted' is unknown"),
    ]


def test_every_fault_is_reported_not_only_the_first() -> None:
    tamper(1, payload={})
    tamper(4, salt=b"")
    assert [fault.position for fault in verify()] == [1, 4]


def test_pages_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentmas.events.verification.PAGE", 2)
    assert list(verify()) == []


def test_a_column_of_the_wrong_kind_is_a_fault_and_not_a_crash() -> None:
    damage = {"sqlite": "recorded_at = 'soon', body = 'text'", "postgresql": "recorded_at = 'infinity'"}
    with triggers.lifted(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE events_event SET {damage[connection.vendor]}")
    assert {fault.position for fault in verify()} == {1, 2, 3, 4}


def test_the_command_succeeds_and_says_how_much_it_read() -> None:
    out = StringIO()
    call_command("verify_log", stdout=out)
    assert out.getvalue() == "4 events, no fault.\n"


def test_the_command_fails_and_names_the_fault() -> None:
    tamper(3, payload={})
    out = StringIO()
    with pytest.raises(CommandError, match="1 fault in a log of 4 events"):
        call_command("verify_log", stdout=out)
    assert out.getvalue() == "position 3: the column payload does not repeat the body\n"


def test_the_command_writes_json() -> None:
    tamper(3, payload={})
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_log", json=True, stdout=out)
    assert json.loads(out.getvalue()) == {
        "events": 4,
        "faults": [{"position": 3, "what": "the column payload does not repeat the body"}],
    }
