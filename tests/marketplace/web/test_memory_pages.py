"""Selling memories by pages: store a file, publish it, another version, another price, and the end of the offer."""

import re

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile

from kvcache.server.payloads import Given, to_file
from latentmas.events.models import Event
from latentmas.jobs.models import Job
from latentmas.protocol.money import Money
from marketplace.artefacts.events import Terms
from marketplace.artefacts.models import Artefact, ArtefactParent, ArtefactText, ArtefactVersion
from marketplace.artefacts.publication import SCREEN
from marketplace.memories.models import StoredMemory
from marketplace.sales.goods import Kind
from tests.marketplace.artefacts.sample import on_sale, publish, screen
from tests.marketplace.exchange.sample import memory as snapshot
from tests.marketplace.web.selling import page

pytestmark = pytest.mark.django_db
MINE, PUBLISH = "/my/memories", "/my/memories/new"


def store(browser, tokens=9):
    """Store a memory by the page, and return its id."""
    file = SimpleUploadedFile("m.safetensors", to_file(Given(snapshot(tokens))))
    answer = browser.post("/my/memories/stored", {"file": file})
    assert answer.status_code == 302, answer.content.decode()
    return StoredMemory.objects.order_by("created_at").last().id


@pytest.fixture
def stored(registry, seller, browser):
    return store(browser)


def form(seller, stored, **changes):
    return {
        "agent": seller,
        "memory": stored,
        "title": "Minutes",
        "price": "5.00",
        "version": "1.0.0",
        "rights": "My own words.",
        "invertible": "on",
    } | changes


def seen(browser, path):
    return int(re.search(r'name="seen" value="(\d+)"', page(browser, path))[1])


def test_a_file_is_stored_for_its_login_alone(browser, stranger, stored):
    assert f"?memory={stored}" in page(browser, MINE)
    assert stored not in page(stranger, MINE)
    assert StoredMemory.objects.get().owner.username == "alice"
    assert (
        "It was stored before."
        in browser.post(
            "/my/memories/stored", {"file": SimpleUploadedFile("m", to_file(Given(snapshot(9))))}, follow=True
        ).content.decode()
    )


def test_what_is_no_memory_or_too_large_is_not_stored(browser, seller, registry, settings):
    nothing = browser.post("/my/memories/stored", {"file": SimpleUploadedFile("m", b"nothing")})
    assert "errorlist" in nothing.content.decode()
    settings.KV_CACHE_MAX_BYTES = 1024
    large = browser.post("/my/memories/stored", {"file": SimpleUploadedFile("m", to_file(Given(snapshot(9))))})
    assert large.status_code == 413
    assert "the limit is 1024" in large.content.decode()
    assert not StoredMemory.objects.exists()


def test_a_stored_memory_is_published_screened_and_shown(browser, alice, seller, stored, client):
    assert f'<option value="{stored}" selected>' in page(browser, f"{PUBLISH}?memory={stored}")
    more = {"floor": "4.50", "discount": 10, "canary": 4, "description": "One\r\ntwo"}
    answer = browser.post(PUBLISH, form(seller, stored, **more))
    assert answer["Location"] == f"{MINE}?agent={seller}", answer.content.decode()
    row, version = Artefact.objects.get(), ArtefactVersion.objects.get()
    assert (row.kind, row.seller, row.title, row.description) == ("memory", seller, "Minutes", "One\ntwo")
    assert (row.price_amount, row.price_currency, row.floor, row.discount) == (500, "USD", 450, 10)
    assert version.canary_digest is not None
    assert Event.objects.get(type="artefact.listed").metadata["actor"] == f"user:{alice.pk}"
    assert Job.objects.get(kind=SCREEN).arguments == {"artefact_id": row.id, "version": "1.0.0"}
    assert "1.0.0</b> is being screened" in page(browser, MINE)
    page(client, f"/memories/{row.id}", 404)
    screen(row.id, retention=None)
    assert "1.0.0</b> has passed; retention not measured, uniqueness 0.80" in page(browser, MINE)
    assert f'href="/memories/{row.id}/withdraw"' in page(browser, f"/memories/{row.id}")
    assert f'href="/memories/{row.id}/withdraw"' not in page(client, f"/memories/{row.id}")


def test_a_refused_version_shows_its_findings(browser, seller, stored):
    browser.post(PUBLISH, form(seller, stored))
    screen(Artefact.objects.get().id, findings=("the title seems to hold an e-mail address",), duplicate_of="x/1.0.0")
    text = page(browser, MINE)
    assert "1.0.0</b> was refused:" in text
    assert "<li>the title seems to hold an e-mail address</li>" in text
    assert "<li>its contents are those of x/1.0.0</li>" in text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"invertible": ""}, "Without this nobody sells a memory."),
        ({"memory": ""}, "This field is required"),
        ({"memory": "0" * 32}, "Select a valid choice"),
        ({"price": "5.001"}, "no more than 2 decimal places"),
        ({"price": "-1"}, "greater than or equal to 0"),
        ({"discount": 51}, "less than or equal to 50"),
        ({"canary": 9999}, "less than or equal to 512"),
        ({"canary": 400}, "400 of 10 cannot be given away"),
        ({"version": "one"}, "one"),
        ({"rights": " "}, "This field is required"),
        ({"title": "a\x01b"}, "control characters"),
        ({"parents": "nothing"}, "line 1 is not the id or address of a card"),
        ({"parents": "00000000-0000-4000-8000-000000000000"}, "there is no artefact"),
        ({"agent": "another"}, "Select a valid choice"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(map(str, *value.items())),
)
def test_what_is_wrong_is_said_and_nothing_is_recorded(browser, seller, stored, changes, problem):
    before = Event.objects.count()
    answer = browser.post(PUBLISH, form(seller, stored, **changes))
    assert answer.status_code == 200
    assert problem in answer.content.decode().replace("&#x27;", "'")
    assert Event.objects.count() == before
    assert not ArtefactText.objects.exists()


def test_anothers_memory_is_no_choice(stranger, stored):
    agent = re.search(r'<option value="([^"]+)">mallory-x', page(stranger, PUBLISH))[1]
    assert stored not in page(stranger, PUBLISH)
    assert "Select a valid choice" in stranger.post(PUBLISH, form(agent, stored)).content.decode()
    assert not Artefact.objects.exists()


def test_parents_are_named_by_id_or_address_with_their_royalty(browser, seller, stored):
    one, other = on_sale(seller), on_sale(seller, kind=Kind.REASONING_CHAIN)
    lines = f"{one} 7.5 %\r\n\r\nhttps://here.example/reasoning-chains/{other}?version=1.0.0"
    browser.post(PUBLISH, form(seller, stored, parents=lines))
    assert set(ArtefactParent.objects.values_list("parent_id", "basis_points")) == {(one, 750), (other, 0)}
    child = Artefact.objects.get(title="Minutes")
    text = page(browser, f"/memories/{child.id}/versions/new")
    assert f"{one} 7.5 %" in text
    more = form(seller, store(browser, 11), version="1.1.0", parents=f"{other} 20", seen=child.stream_version)
    assert browser.post(f"/memories/{child.id}/versions/new", more).status_code == 302
    assert set(ArtefactParent.objects.values_list("parent_id", "basis_points")) == {(other, 2000)}


def test_another_version_is_a_higher_one_of_another_file(browser, seller, stored):
    browser.post(PUBLISH, form(seller, stored))
    row = Artefact.objects.get()
    path, other = f"/memories/{row.id}/versions/new", store(browser, 11)
    shown = page(browser, path)
    assert 'value="1.1.0"' in shown
    assert "My own words." in shown
    same = browser.post(path, form(seller, stored, version="1.1.0", seen=seen(browser, path)))
    assert "version 1.0.0 has the same file" in same.content.decode()
    low = browser.post(path, form(seller, other, version="0.9.0", seen=seen(browser, path)))
    assert "is not above 1.0.0" in low.content.decode()
    stale = browser.post(path, form(seller, other, version="1.1.0", seen=1))
    assert "errorlist" in stale.content.decode()
    assert ArtefactVersion.objects.count() == 1
    answer = browser.post(path, form(seller, other, version="1.1.0", seen=seen(browser, path)))
    assert answer["Location"] == f"{MINE}?agent={seller}"
    assert set(ArtefactVersion.objects.values_list("version", flat=True)) == {"1.0.0", "1.1.0"}


@pytest.mark.parametrize("kind", [Kind.MEMORY, Kind.EMBEDDING])
def test_what_is_on_sale_gets_another_price_and_is_withdrawn(browser, client, seller, registry, kind):
    item = on_sale(seller, kind=kind, terms=Terms(Money(500, "EUR"), 400, 5))
    path = re.search(rf'href="(/[a-z-]+/{item})/price"', page(browser, MINE))[1]
    shown = page(browser, f"{path}/price")
    assert 'value="5.00"' in shown
    assert 'value="4.00"' in shown
    typed = {"price": "6.50", "floor": "", "discount": "", "seen": seen(browser, f"{path}/price")}
    assert browser.post(f"{path}/price", typed).status_code == 302
    row = Artefact.objects.get()
    assert (row.price_amount, row.price_currency, row.floor, row.discount) == (650, "EUR", None, 0)
    assert "errorlist" in browser.post(f"{path}/price", typed).content.decode()  # the page had seen an earlier one

    empty = browser.post(f"{path}/withdraw", {"reason": "", "seen": row.stream_version})
    assert "This field is required" in empty.content.decode()
    ended = browser.post(f"{path}/withdraw", {"reason": "Out of date.", "seen": row.stream_version}, follow=True)
    assert "Withdrawn:</b> Out of date." in ended.content.decode()
    assert f"{path}/withdraw" not in page(browser, MINE)
    assert "Out of date." in page(client, path)
    again = browser.post(f"{path}/withdraw", {"reason": "Again.", "seen": seen(browser, f"{path}/withdraw")})
    assert "was withdrawn, for good" in again.content.decode()


@pytest.mark.parametrize("change", ["withdraw", "price", "versions/new"])
def test_nobody_else_changes_it(stranger, buying, client, memory, change):
    path = f"/memories/{memory}/{change}"
    for other in (stranger, buying):
        page(other, path, 404)
        assert other.post(path, {"reason": "Mine.", "price": "1.00", "seen": 1}).status_code == 404
    assert client.get(path)["Location"] == f"/log-in?next={path}"
    assert Artefact.objects.get().withdrawn_at is None


@pytest.mark.parametrize("path", [MINE, PUBLISH])
def test_who_has_no_agent_registers_one_and_who_is_nobody_logs_in(client, db, path):
    assert client.get(path)["Location"] == f"/log-in?next={path}"
    client.force_login(User.objects.create_user("new"))
    assert client.get(path)["Location"] == "/my/agents/new"


def test_my_memories_cost_a_constant_number_of_queries(browser, seller, registry, django_assert_max_num_queries):
    for _ in range(4):
        publish(on_sale(seller), "1.1.0")
    with django_assert_max_num_queries(10):
        page(browser, MINE)
