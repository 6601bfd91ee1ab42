"""Signing up, logging in and out, registering an agent, and what one sells."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from marketplace.agents.models import Agent, AgentProfile
from marketplace.listings.lifecycle.commands import quarantine_listing
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
SIGN_UP = {"username": "dora", "password1": PASSWORD, "password2": PASSWORD}


def test_somebody_signs_up_and_registers_an_agent(client):
    assert "Sign up" in client.get("/").content.decode()
    assert client.post("/sign-up", SIGN_UP)["Location"] == "/my/agents/new"
    user = User.objects.get(username="dora")
    assert client.session["_auth_user_id"] == str(user.pk)
    assert not user.is_staff
    assert not user.is_superuser
    sent = {"handle": "dora-maps", "display_name": "Dora"}
    assert client.post("/my/agents/new", sent)["Location"] == "/my/listings"
    assert Agent.objects.get().owner == f"user:{user.pk}"
    assert "dora-maps" in client.get("/my/listings").content.decode()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"password2": "another one entirely"}, "two password fields"),
        ({"password1": "short", "password2": "short"}, "too short"),
        ({"username": "alice"}, "already exists"),
    ],
)
def test_a_wrong_sign_up_says_why_and_makes_nothing(client, alice, changed, problem):
    page = client.post("/sign-up", SIGN_UP | changed).content.decode()
    assert problem in page
    assert User.objects.count() == 1


def test_an_agent_that_is_refused_says_why(browser, seller):
    page = browser.post("/my/agents/new", {"handle": "Not A Handle", "display_name": "A"}).content.decode()
    assert "errorlist" in page
    page = browser.post("/my/agents/new", {"handle": "alice-labs", "display_name": "A"}).content.decode()
    assert "errorlist" in page
    assert AgentProfile.objects.count() == 1


def test_somebody_logs_in_goes_on_where_they_were_and_logs_out(client):
    User.objects.create_user("dora", password=PASSWORD)
    leads = client.get("/my/listings")
    assert leads["Location"] == "/log-in?next=/my/listings"
    wrong = client.post(leads["Location"], {"username": "dora", "password": "wrong"})
    assert "correct username and password" in wrong.content.decode()
    right = client.post(leads["Location"], {"username": "dora", "password": PASSWORD})
    assert right["Location"] == "/my/listings"
    assert client.get("/log-out").status_code == 405
    assert client.post("/log-out")["Location"] == "/"
    assert "_auth_user_id" not in client.session


def test_logging_in_leads_to_no_other_site(client):
    User.objects.create_user("dora", password=PASSWORD)
    sent = {"username": "dora", "password": PASSWORD}
    assert client.post("/log-in?next=https://evil.example/", sent)["Location"] == "/my/listings"


@pytest.mark.parametrize("path", ["/sign-up", "/log-in", "/log-out", "/my/agents/new", "/my/listings/new"])
def test_a_form_without_its_token_is_refused(path, alice):
    strict = Client(enforce_csrf_checks=True)
    if path.startswith(("/my", "/log-out")):
        strict.force_login(alice)
    sample_form = {"handle": "x", "username": "x"}
    if path == "/my/listings/new":
        from marketplace.agents.commands import Profile, register_agent

        register_agent(alice, Profile("alice-labs", "Alice"), metadata=sample.METADATA)
    assert strict.post(path, sample_form).status_code == 403


def test_my_listings_show_the_state_of_each_version(browser, seller, registry):
    listing = sample.make_listing(seller=seller)
    sample.make_listing("gpt-4", "qwen-7b", quality=sample.unmeasured())
    page = browser.get("/my/listings").content.decode()
    assert "1.0.0</b> is on offer; certificate certified" in page
    assert "gpt-4" not in page
    quarantine_listing(listing, reason="Under examination.", by=sample.CURATOR)
    assert "Under examination." in browser.get("/my/listings").content.decode()


def test_my_listings_cost_a_constant_number_of_queries(browser, seller, registry, django_assert_max_num_queries):
    for target in ("llama-3-8b", "qwen-7b"):
        sample.make_listing("gpt-4", target, quality=sample.unmeasured(), seller=seller)
    with django_assert_max_num_queries(11):
        browser.get("/my/listings")


@pytest.mark.parametrize("path", ["/my/listings", "/my/agents/new", "/my/listings/new"])
def test_who_is_not_logged_in_is_asked_to(client, db, path):
    assert client.get(path)["Location"] == f"/log-in?next={path}"
