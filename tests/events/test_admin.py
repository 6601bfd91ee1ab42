"""The log in the admin: read-only, escaped, and readable where a type is unknown."""

import pytest
from django.template.loader import render_to_string
from django.test import Client

from latentmas.events import store, types
from latentmas.events.queries import timeline
from latentmas.events.store import New
from tests.events.sample import BY, Counted, Noted, Opened

pytestmark = [pytest.mark.django_db, pytest.mark.store]

LIST = "/admin/events/event/"


@pytest.fixture(autouse=True)
def _log() -> None:
    store.append(New("account/1", [Opened("<script>alert(1)</script>"), Counted(7)]), metadata=BY)
    store.append(New("note/1", [Noted("n")]), metadata=BY)


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_shows_who_did_what_when_newest_first(admin_client: Client) -> None:
    text = page(admin_client, LIST)
    assert text.index("sample.noted</td>") < text.index("sample.counted</td>") < text.index("sample.opened</td>")
    assert "test:sample" in text
    assert "3 events" in text


def test_the_list_is_filtered_by_type_and_searched_by_stream(admin_client: Client) -> None:
    assert "1 event\n" in page(admin_client, LIST + "?type=sample.counted")
    assert "2 events\n" in page(admin_client, LIST + "?q=account/")
    assert "0 events\n" in page(admin_client, LIST + "?q=unt/1")


def test_the_list_costs_a_constant_number_of_queries(admin_client: Client, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    store.append(New("note/1", [Noted(str(number)) for number in range(50)]), metadata=BY)
    with django_assert_num_queries(4):  # session, user, head row, page
        page(admin_client, LIST)


def test_the_detail_shows_the_payload_escaped(admin_client: Client) -> None:
    text = page(admin_client, LIST + "1/change/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert(1)" not in text


def test_an_event_of_an_unknown_type_can_be_looked_at(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(types, "_BY_NAME", {})
    assert "sample.noted" in page(admin_client, LIST)
    assert "sample.noted" in page(admin_client, LIST + "3/change/")


@pytest.mark.parametrize("path", ["add/", "1/delete/"])
def test_nothing_can_be_added_or_deleted(admin_client: Client, path: str) -> None:
    assert admin_client.get(LIST + path).status_code == 403
    assert admin_client.post(LIST + path, {"post": "yes"}).status_code == 403


def test_nothing_can_be_changed(admin_client: Client) -> None:
    assert admin_client.post(LIST + "1/change/", {"type": "x"}).status_code == 403
    assert store.read_all()[0].type == "sample.opened"


def test_the_timeline_is_newest_first() -> None:
    entries = timeline("account/1")
    assert [(each.version, each.type, each.actor) for each in entries] == [
        (2, "sample.counted", "test:sample"),
        (1, "sample.opened", "test:sample"),
    ]
    assert entries[0].payload == {"amount": 7}
    assert timeline("account/1", limit=1) == entries[:1]


def test_the_timeline_is_rendered_escaped_and_says_when_it_is_empty() -> None:
    text = render_to_string("events/timeline.html", {"timeline": timeline("account/1")})
    assert text.index("sample.counted") < text.index("sample.opened")
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "Nothing is recorded yet." in render_to_string("events/timeline.html", {"timeline": []})
