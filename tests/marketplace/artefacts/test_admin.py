"""Curators look at artefacts, and stop them for a reason."""

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse

from marketplace.artefacts.models import Artefact
from tests.marketplace.artefacts.sample import on_sale

pytestmark = pytest.mark.django_db
ARTEFACTS = reverse("admin:artefacts_artefact_changelist")
VERSIONS = reverse("admin:artefacts_artefactversion_changelist")


@pytest.fixture
def artefact(seller):
    return on_sale(seller)


def act(client, action, key, **form):
    return client.post(ARTEFACTS, {"action": action, ACTION_CHECKBOX_NAME: [key], **form})


def test_the_lists_show_what_is_on_sale_and_how_its_screening_stands(admin_client, artefact):
    assert "Minutes of a meeting" in admin_client.get(ARTEFACTS).content.decode()
    assert '<td class="field-screening">Passed</td>' in admin_client.get(VERSIONS).content.decode()


def test_the_detail_shows_the_events(admin_client, artefact):
    for address in (
        reverse("admin:artefacts_artefact_change", args=[artefact]),
        reverse("admin:artefacts_artefactversion_change", args=[f"{artefact}_2F1.0.0"]),
    ):
        page = admin_client.get(address).content.decode()
        assert "artefact.version_screened" in page
        assert 'name="_save"' not in page


def test_a_quarantine_asks_for_a_reason_and_ends_with_one(admin_client, admin_user, artefact):
    assert "until their release" in act(admin_client, "quarantine", artefact).content.decode()
    assert "This field is required" in act(admin_client, "quarantine", artefact, apply="yes").content.decode()
    act(admin_client, "quarantine", artefact, apply="yes", reason="A report.")
    row = Artefact.objects.get(id=artefact)
    assert (row.version, row.withheld_reason) == (None, "A report.")
    again = act(admin_client, "quarantine", artefact, apply="yes", reason="Another.").content.decode()
    assert "in quarantine already" in again
    act(admin_client, "release", artefact, apply="yes", reason="Unfounded.")
    assert Artefact.objects.get(id=artefact).version == "1.0.0"


def test_nothing_is_added_changed_or_deleted_by_hand(admin_client, artefact):
    assert admin_client.get(reverse("admin:artefacts_artefact_add")).status_code == 403
    assert admin_client.post(reverse("admin:artefacts_artefact_delete", args=[artefact])).status_code == 403


def test_whoever_is_no_curator_does_not_see_them(client, django_user_model, artefact):
    client.force_login(django_user_model.objects.create_user("mallory", is_staff=True))
    assert client.get(ARTEFACTS).status_code == 403
