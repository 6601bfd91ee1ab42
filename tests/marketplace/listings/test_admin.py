from datetime import timedelta

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse
from django.utils import timezone

from latentmas.events.models import Event
from latentmas.jobs.models import Job
from marketplace.listings.models import Listing, ListingVersion
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
LISTINGS = reverse("admin:listings_listing_changelist")
VERSIONS = reverse("admin:listings_listingversion_changelist")


def act(client, address, action, key, **form):
    return client.post(address, {"action": action, ACTION_CHECKBOX_NAME: [key], **form})


def test_the_lists_show_pair_basis_and_certificate(admin_client, registry):
    sample.make_listing(at=timezone.now())
    for address, column in ((LISTINGS, "certificate"), (VERSIONS, "tier")):
        page = admin_client.get(address, {"basis": "functional"}).content.decode()
        assert "smollm2-135m to gemma-3-270m" in page
        assert f'<td class="field-{column}">gold</td>' in page


def test_an_expired_certificate_is_shown_as_expired(admin_client, registry):
    sample.make_listing(at=timezone.now() - timedelta(days=400))
    assert '<td class="field-certificate">expired</td>' in admin_client.get(LISTINGS).content.decode()


def test_the_detail_is_read_only_and_shows_the_timeline(admin_client, registry):
    identifier = sample.make_listing()
    for address in (
        reverse("admin:listings_listing_change", args=[identifier]),
        reverse("admin:listings_listingversion_change", args=[f"{identifier}/1.0.0".replace("/", "_2F")]),
    ):
        page = admin_client.get(address).content.decode()
        assert "Version 1.0.0 certified gold" in page
        assert "command:test" in page
        assert 'name="_save"' not in page
    assert admin_client.post(reverse("admin:listings_listing_change", args=[identifier]), {}).status_code == 403


def test_nothing_is_added_or_deleted_by_hand(admin_client, registry):
    identifier = sample.make_listing()
    assert admin_client.get(reverse("admin:listings_listing_add")).status_code == 403
    assert admin_client.post(reverse("admin:listings_listing_delete", args=[identifier])).status_code == 403
    assert Listing.objects.count() == 1


def test_yanking_asks_for_a_reason_first(admin_client, admin_user, registry):
    identifier = sample.make_listing()
    page = act(admin_client, LISTINGS, "yank", identifier).content.decode()
    assert "the reason becomes part of it" in page
    page = act(admin_client, LISTINGS, "yank", identifier, apply="yes", reason=" ").content.decode()
    assert "This field is required" in page
    assert not ListingVersion.objects.get().yanked

    answer = act(admin_client, LISTINGS, "yank", identifier, apply="yes", reason="Wrong corpus.")
    assert answer.status_code == 302
    assert ListingVersion.objects.get().yanked_reason == "Wrong corpus."
    event = Event.objects.get(type="listing.version_yanked")
    assert event.metadata["actor"] == f"user:{admin_user.pk}"


def test_certifying_asks_for_a_confirmation_and_reports_the_outcome(admin_client, registry):
    identifier = sample.make_listing(quality=sample.functional(0.4), certify=False)
    key = f"{identifier}/1.0.0"
    page = act(admin_client, VERSIONS, "certify", key).content.decode()
    assert "The transfer contract decides" in page
    assert ListingVersion.objects.get().refusal_code is None

    act(admin_client, VERSIONS, "certify", key, apply="yes")
    assert ListingVersion.objects.get().refusal_code == "QUALITY_BELOW_THRESHOLD"
    assert "refused: retention may be as low as" in admin_client.get(VERSIONS).content.decode()


def test_an_error_of_a_command_is_shown_and_nothing_is_recorded(admin_client, registry):
    identifier = sample.make_listing()
    key = f"{identifier}/1.0.0"
    act(admin_client, VERSIONS, "yank", key, apply="yes", reason="Once.")
    page = act(admin_client, VERSIONS, "yank", key, apply="yes", reason="Twice.").content.decode()
    assert "is yanked already" in page
    assert Event.objects.filter(type="listing.version_yanked").count() == 1


def test_a_viewer_cannot_curate(client, django_user_model, registry):
    from django.contrib.auth.models import Permission

    viewer = django_user_model.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_listing", "view_listingversion"]))
    client.force_login(viewer)
    identifier = sample.make_listing()
    assert client.get(LISTINGS).status_code == 200
    act(client, LISTINGS, "yank", identifier, apply="yes", reason="No right.")
    assert not ListingVersion.objects.get().yanked


def test_a_certificate_is_revoked_for_a_reason(admin_client, registry):
    identifier = sample.make_listing(at=timezone.now())
    page = act(admin_client, LISTINGS, "revoke", identifier).content.decode()
    assert "needs another measurement" in page
    assert "This field is required" in act(admin_client, LISTINGS, "revoke", identifier, apply="yes").content.decode()
    assert ListingVersion.objects.get().tier == "gold"
    act(admin_client, LISTINGS, "revoke", identifier, apply="yes", reason="Its text was not its own.")
    row = ListingVersion.objects.get()
    assert (row.tier, row.revoked_reason) == (None, "Its text was not its own.")
    again = act(admin_client, LISTINGS, "revoke", identifier, apply="yes", reason="Again.").content.decode()
    assert "revoked already" in again


def test_a_curator_can_have_a_version_measured(admin_client, admin_user, registry):
    identifier = sample.make_listing()
    act(admin_client, LISTINGS, "measure", identifier, apply="yes")
    job = Job.objects.get()
    assert (job.kind, job.arguments) == ("w-matrix.certify", {"listing_id": identifier, "version": "1.0.0"})
    assert job.requested_by == f"user:{admin_user.pk}"
