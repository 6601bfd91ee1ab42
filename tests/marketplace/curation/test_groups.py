"""What each group may do in the admin, and above all what it may not."""

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from latentmas.events.models import Event
from latentmas.jobs.models import Job
from marketplace.accounts.commands import create_token
from marketplace.accounts.models import ApiToken
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.models import Agent
from marketplace.curation.models import Outcome, Report
from marketplace.listings.models import Listing, ListingVersion
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
GROUPS = ("curator", "certifier", "support", "auditor")
# The pages of the admin, and who may open them.
PAGES = {
    "events_event": {"curator", "certifier", "auditor"},
    "transparency_checkpoint": {"curator", "certifier", "auditor"},
    "listings_listing": {*GROUPS},
    "listings_listingversion": {*GROUPS},
    "agents_agent": {"curator", "support", "auditor"},
    "registry_registeredmodel": {"curator", "certifier", "auditor"},
    "curation_report": {"curator", "support", "auditor"},
    "factory_calibrationpack": {"curator", "auditor"},
    "jobs_job": {*GROUPS},
    "accounts_apitoken": {"support"},
    "auth_user": {"support"},
    "auth_group": set(),
    "memories_storedmemory": set(),
    "webhooks_webhook": {"support"},
}
# Each action: its list, what is sent with it, whether it was done, and who may do it.
ACTIONS = {
    "yank": ("listings_listing", lambda: ListingVersion.objects.get().yanked, {"curator"}),
    "quarantine": ("listings_listing", lambda: Listing.objects.get().quarantined_at is not None, {"curator"}),
    "delist": ("listings_listing", lambda: Listing.objects.get().delisted_at is not None, {"curator"}),
    "revoke": ("listings_listing", lambda: ListingVersion.objects.get().tier is None, {"curator", "certifier"}),
    "measure": ("listings_listing", lambda: Job.objects.exists(), {"curator", "certifier"}),
    "uphold": ("curation_report", lambda: Report.objects.get().outcome == Outcome.UPHELD, {"curator"}),
    "erase": ("curation_report", lambda: Report.objects.get().text == "", {"curator"}),
    "suspend": ("agents_agent", lambda: Agent.objects.get().suspended is not None, {"curator"}),
}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("page", PAGES)
def test_a_group_sees_its_pages_and_no_others(member, group, page):
    answer = member(group).get(reverse(f"admin:{page}_changelist"))
    assert answer.status_code == (200 if group in PAGES[page] else 403)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_group_does_its_actions_and_no_others(member, report, alice, group, action):
    page, done, allowed = ACTIONS[action]
    agent = register_agent(alice, Profile("alice-labs", "Alice"), metadata=sample.METADATA)
    key = {"listings_listing": report.listing_id, "curation_report": report.id, "agents_agent": agent.id}[page]
    # A suspension's reason is one of a list; the others are sentences.
    form = {"apply": "yes", "reason": "fraud" if action == "suspend" else "Because.", "note": "Because."}
    form |= {"action": action, ACTION_CHECKBOX_NAME: [key]}
    before = Event.objects.count()
    member(group).post(reverse(f"admin:{page}_changelist"), form)
    assert done() is (group in allowed)
    if group not in allowed:
        assert Event.objects.count() == before


@pytest.mark.parametrize("group", GROUPS)
def test_no_group_edits_or_deletes_rows_by_hand(member, report, group):
    client = member(group)
    event = Event.objects.latest("position")
    for page, key in (
        ("listings_listing", report.listing_id),
        ("curation_report", report.id),
        ("events_event", event.position),
    ):
        for verb in ("change", "delete"):
            assert client.post(reverse(f"admin:{page}_{verb}", args=[key]), {"post": "yes"}).status_code == 403
        assert client.get(reverse(f"admin:{page}_add")).status_code == 403


@pytest.mark.parametrize("group", GROUPS)
def test_no_group_gives_itself_rights(member, group):
    client = member(group)
    own = User.objects.get(username=f"{group}-1")
    sent = {"username": own.username, "is_superuser": "on", "is_staff": "on", "is_active": "on"}
    assert client.post(reverse("admin:auth_user_change", args=[own.pk]), sent).status_code == 403
    assert client.get(reverse("admin:auth_user_add")).status_code == 403
    assert client.get(reverse("admin:accounts_apitoken_add")).status_code == 403
    own.refresh_from_db()
    assert not own.is_superuser


@pytest.mark.parametrize("group", GROUPS)
def test_only_support_revokes_tokens(member, alice, group):
    row, _ = create_token(alice, name="hers", scopes=["memories:read"])
    form = {"action": "revoke", ACTION_CHECKBOX_NAME: [row.id]}
    member(group).post(reverse("admin:accounts_apitoken_changelist"), form)
    assert (ApiToken.objects.get().state_at(timezone.now()) == "revoked") is (group == "support")


def test_the_operators_certifiers_are_no_independent_validators():
    names = Group.objects.get(name="certifier").permissions.values_list("codename", flat=True)
    assert "change_listingversion" in names
    assert "certify" not in names
