"""What a visitor may do about one listing: ask for its files, answer, report it."""

import pytest
from django.test import Client

from marketplace.agents.commands import Profile, register_agent
from marketplace.curation.models import Report
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import By, change_access, request_access
from marketplace.listings.models import ListingMember
from tests.marketplace import sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def gated(registry, seller):
    listing = sample.make_listing(seller=seller)
    change_access(listing, access=Access.GATED, by=sample.CURATOR)
    return listing


@pytest.fixture
def buyer(db, django_user_model):
    user = django_user_model.objects.create_user("bea")
    client = Client()
    client.force_login(user)
    return client, register_agent(user, Profile("bea-buys", "Bea"), metadata=sample.METADATA).id


def test_a_visitor_asks_for_access_and_the_seller_grants_and_withdraws_it(browser, buyer, gated):
    client, agent = buyer
    page = f"/w-matrices/{gated}"
    assert f'href="{page}/ask"' in client.get(page).content.decode()
    asked = client.post(f"{page}/ask", {"agent": agent, "message": "For research."}, follow=True)
    assert "waits for the seller" in asked.content.decode()
    member = ListingMember.objects.get(agent=agent)
    assert (member.request, member.message) == ("asked", "For research.")

    assert "1 request<" in browser.get("/my/listings").content.decode()
    shown = browser.get(f"{page}/access-requests").content.decode()
    assert "bea-buys" in shown
    assert "For research." in shown
    browser.post(f"{page}/access-requests", {"agent": agent, "decision": "granted"})
    assert ListingMember.objects.get(agent=agent).request == "granted"
    assert f'href="{page}/ask"' not in client.get(page).content.decode()
    browser.post(f"{page}/access-requests", {"agent": agent, "decision": "refused", "reason": "It is over."})
    assert ListingMember.objects.get(agent=agent).request == "refused"


def test_a_refusal_without_a_reason_changes_nothing(browser, buyer, gated):
    request_access(gated, message="", by=By(buyer[1], sample.METADATA))
    answer = browser.post(f"/w-matrices/{gated}/access-requests", {"agent": buyer[1], "decision": "refused"})
    assert "errorlist" in answer.content.decode()
    assert ListingMember.objects.get(agent=buyer[1]).request == "asked"


@pytest.mark.parametrize("decision", ["asked", "owner", ""])
def test_no_other_answer_is_taken(browser, buyer, gated, decision):
    request_access(gated, message="", by=By(buyer[1], sample.METADATA))
    browser.post(f"/w-matrices/{gated}/access-requests", {"agent": buyer[1], "decision": decision})
    assert ListingMember.objects.get(agent=buyer[1]).request == "asked"


def test_only_who_manages_a_listing_sees_and_answers_its_requests(client, buyer, gated):
    path = f"/w-matrices/{gated}/access-requests"
    assert client.get(path)["Location"].startswith("/log-in")
    assert buyer[0].get(path).status_code == 404
    assert buyer[0].post(path, {"agent": buyer[1], "decision": "granted"}).status_code == 404
    assert not ListingMember.objects.filter(agent=buyer[1]).exists()


def test_a_public_listing_offers_no_request_and_refuses_one(buyer, certified):
    client, agent = buyer
    assert "Ask for access" not in client.get(f"/w-matrices/{certified}").content.decode()
    answer = client.post(f"/w-matrices/{certified}/ask", {"agent": agent, "message": ""})
    assert "errorlist" in answer.content.decode()


def test_a_private_listing_is_nobodys_to_ask_for_or_report(buyer, gated):
    change_access(gated, access=Access.PRIVATE, by=sample.CURATOR)
    for path in ("ask", "report", "access-requests"):
        assert buyer[0].get(f"/w-matrices/{gated}/{path}").status_code == 404


def test_a_visitor_reports_a_listing(client, buyer, certified):
    path = f"/w-matrices/{certified}/report"
    assert client.get(path)["Location"].startswith("/log-in")
    sent = {"kind": "rights", "text": "<b>It is mine.</b>"}
    page = buyer[0].post(path, sent, follow=True).content.decode()
    assert "A curator will look at it." in page
    assert Report.objects.get().text == "<b>It is mine.</b>"
    again = buyer[0].post(path, sent).content.decode()
    assert "is still open" in again
    assert "This field is required" in buyer[0].post(path, {"kind": "rights"}).content.decode()
    assert Report.objects.count() == 1


@pytest.mark.parametrize("path", ["", "/ask", "/access-requests", "/report", "/versions/new"])
@pytest.mark.parametrize("listing", ["nothing", "%00", "x" * 300])
def test_a_listing_that_is_not_there_is_not_found(browser, seller, listing, path):
    assert browser.get(f"/w-matrices/{listing}{path}").status_code == 404
