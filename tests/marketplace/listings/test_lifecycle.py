"""What may happen to a listing after its publication, and who may do it."""

import pytest
from django.core.management import CommandError, call_command

from latentmas.events.errors import VersionConflict
from latentmas.events.models import Event
from latentmas.events.verification import verify
from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from latentmas.protocol.money import Money, Split
from marketplace.listings.commands import publish_version
from marketplace.listings.errors import ListingIsDelisted, ListingIsQuarantined, NotAllowed, TransferNotOffered
from marketplace.listings.events.lifecycle import Access, Role
from marketplace.listings.lifecycle import commands
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.lifecycle.decisions import SPLIT_BOUNDS
from marketplace.listings.models import Listing, ListingMember, ListingText, ListingVersion
from marketplace.listings.timeline import timeline
from marketplace.texts.erasable import ERASED
from tests.marketplace import sample
from tests.marketplace.sample import CURATOR, METADATA

pytestmark = pytest.mark.django_db
OWNER, MAINTAINER, PUBLISHER, STRANGER = "agent:test", "agent:maintainer", "agent:publisher", "agent:stranger"


def by(agent, expected=None):
    return By(agent, METADATA, expected)


@pytest.fixture
def listing(registry):
    """A listing with two versions, a maintainer and a publisher."""
    identifier = sample.make_listing(certify=False)
    publish_version(identifier, published=sample.published("1.1.0"), metadata=METADATA)
    commands.add_collaborator(identifier, who=MAINTAINER, role=Role.MAINTAINER, by=by(OWNER))
    commands.add_collaborator(identifier, who=PUBLISHER, role=Role.PUBLISHER, by=by(OWNER))
    return identifier


CHANGES = {
    "alias": (commands.move_alias, {"name": "stable", "version": "1.0.0"}),
    "yank": (commands.yank_version, {"version": "1.0.0", "reason": "Worse."}),
    "deprecate": (commands.deprecate_version, {"version": "1.0.0", "reason": "Old.", "successor": "1.1.0"}),
    "price": (commands.change_price, {"price": Money(500, "EUR")}),
    "grant": (commands.grant_access, {"who": STRANGER}),
    "split": (commands.change_split, {"split": Split(70, 20, 10)}),
    "access": (commands.change_access, {"access": Access.GATED}),
    "collaborator": (commands.add_collaborator, {"who": "agent:new", "role": Role.PUBLISHER}),
    "remove": (commands.remove_collaborator, {"who": PUBLISHER}),
    "transfer": (commands.offer_transfer, {"to": "agent:new"}),
    "delist": (commands.delist, {"reason": "Enough."}),
}
ALLOWED = {
    OWNER: set(CHANGES),
    MAINTAINER: {"alias", "yank", "deprecate", "price", "grant"},
    PUBLISHER: {"alias", "remove"},  # it may lay down its own role
    STRANGER: set(),
    None: set(CHANGES),  # a curator
}


@pytest.mark.parametrize("agent", ALLOWED, ids=str)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_needs_its_right(listing, agent, name):
    change, what = CHANGES[name]
    before = Event.objects.count()
    if name in ALLOWED[agent]:
        change(listing, **what, by=by(agent))
        assert Event.objects.count() == before + 1
    else:
        with pytest.raises(NotAllowed):
            change(listing, **what, by=by(agent))
        assert Event.objects.count() == before


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_changes_in_quarantine_or_after_the_end(listing, name):
    change, what = CHANGES[name]
    commands.quarantine_listing(listing, reason="Under review.", by=CURATOR)
    with pytest.raises(ListingIsQuarantined):
        change(listing, **what, by=by(OWNER))
    commands.release_listing(listing, reason="It was fine.", by=CURATOR)
    commands.delist(listing, reason="Enough.", by=by(OWNER))
    if name != "yank":  # what was delisted may still turn out to be harmful
        with pytest.raises(ListingIsDelisted):
            change(listing, **what, by=by(OWNER))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_on_a_stale_version_is_refused(listing, name):
    change, what = CHANGES[name]
    version = Listing.objects.get().stream_version
    with pytest.raises(VersionConflict):
        change(listing, **what, by=by(OWNER, expected=version - 1))
    change(listing, **what, by=by(OWNER, expected=version))


@pytest.mark.parametrize(
    ("split", "field"),
    [
        (Split(80, 15, 6), "split"),
        (Split(80, 15, 4), "split"),
        (Split(81, 15, 4), "split.creator"),
        (Split(80, 14, 6), "split.platform"),
        (Split(80, 16, 4), "split.validators"),
        (Split(49, 41, 10), "split.creator"),
    ],
)
def test_a_split_adds_up_and_stays_within_its_bounds(listing, split, field):
    with pytest.raises(InvalidInput) as refusal:
        commands.change_split(listing, split=split, by=by(OWNER))
    assert refusal.value.facts["field"] == field
    assert Listing.objects.get().split == {"creator": 80, "platform": 15, "validators": 5}
    assert sum(low for low, _ in SPLIT_BOUNDS.values()) <= 100


@pytest.mark.parametrize("price", [Money(-1, "USD"), Money(10**13, "USD"), Money(5, "dollars")])
def test_a_price_is_neither_negative_nor_of_an_unknown_kind(listing, price):
    with pytest.raises(InvalidInput) as refusal:
        commands.change_price(listing, price=price, by=by(OWNER))
    assert refusal.value.facts["field"] == "price"


def test_price_and_split_show_in_the_catalogue(listing):
    commands.change_price(listing, price=Money(500, "EUR"), by=by(OWNER))
    commands.change_split(listing, split=Split(70, 20, 10), by=by(OWNER))
    commands.change_price(listing, price=Money(500, "EUR"), by=by(OWNER))
    row = Listing.objects.get()
    assert (row.price_amount, row.price_currency, row.split["creator"]) == (500, "EUR", 70)
    assert Event.objects.filter(type="listing.price_changed").count() == 1


@pytest.mark.parametrize(
    ("name", "version", "error"),
    [
        ("Stable", "1.0.0", InvalidInput),
        ("1.0.0", "1.0.0", InvalidInput),
        ("stable", "9.0.0", NotFound),
        ("stable", "1.1.0", Conflict),  # yanked below
    ],
)
def test_an_alias_leads_to_a_version_on_offer(listing, name, version, error):
    commands.yank_version(listing, version="1.1.0", reason="Worse.", by=by(OWNER))
    with pytest.raises(error):
        commands.move_alias(listing, name=name, version=version, by=by(OWNER))
    assert Listing.objects.get().aliases == {}


@pytest.mark.parametrize("successor", ["1.0.0", "7.0.0", "newest", "x" * 40 + "/1.0.0"])
def test_a_successor_is_another_version(listing, successor):
    with pytest.raises((InvalidInput, NotFound)):
        commands.deprecate_version(listing, version="1.0.0", reason="Old.", successor=successor, by=by(OWNER))


def test_a_deprecated_version_stays_on_offer(listing):
    commands.deprecate_version(listing, version="1.0.0", reason="Old.", successor="1.1.0", by=by(OWNER))
    row = ListingVersion.objects.get(version="1.0.0")
    assert (row.offered, row.deprecated_reason, row.successor) == (True, "Old.", "1.1.0")


def test_a_quarantine_takes_everything_off_the_offer_until_the_release(listing):
    commands.quarantine_listing(listing, reason="Under review.", by=CURATOR)
    row = Listing.objects.get()
    assert (row.version, row.withheld_reason) == (None, "Under review.")
    assert not ListingVersion.objects.filter(offered=True).exists()
    commands.release_listing(listing, reason="It was fine.", by=CURATOR)
    assert (Listing.objects.get().version, Listing.objects.get().withheld_reason) == ("1.1.0", "")


def test_a_listing_that_was_handed_over_is_the_new_owners_alone(listing):
    commands.offer_transfer(listing, to=MAINTAINER, by=by(OWNER))
    assert Listing.objects.get().seller == OWNER
    commands.accept_transfer(listing, by=by(MAINTAINER))
    assert Listing.objects.get().seller == MAINTAINER
    assert [row.agent for row in ListingMember.objects.filter(owner=True)] == [MAINTAINER]
    with pytest.raises(NotAllowed):
        commands.change_price(listing, price=Money(1, "USD"), by=by(OWNER))
    with pytest.raises(TransferNotOffered):
        commands.accept_transfer(listing, by=by(MAINTAINER))


@pytest.mark.parametrize("end", ["withdrawn", "declined", "offered to another"])
def test_a_listing_stays_with_its_owner_where_the_offer_ends(listing, end):
    commands.offer_transfer(listing, to=STRANGER, by=by(OWNER))
    assert commands.offer_transfer(listing, to=STRANGER, by=by(OWNER)) == []
    match end:
        case "withdrawn":
            commands.withdraw_transfer(listing, by=by(OWNER))
        case "declined":
            commands.decline_transfer(listing, by=by(STRANGER))
        case _:
            commands.offer_transfer(listing, to=PUBLISHER, by=by(OWNER))
    with pytest.raises(TransferNotOffered):
        commands.accept_transfer(listing, by=by(STRANGER))
    assert Listing.objects.get().seller == OWNER
    assert not ListingMember.objects.filter(agent=STRANGER, offered_at__isnull=False).exists()


def test_nobody_but_the_receiver_accepts_and_nothing_in_quarantine(listing):
    commands.offer_transfer(listing, to=STRANGER, by=by(OWNER))
    for agent in (OWNER, MAINTAINER, None):
        with pytest.raises(TransferNotOffered):
            commands.accept_transfer(listing, by=by(agent))
    with pytest.raises(NotAllowed):
        commands.withdraw_transfer(listing, by=by(MAINTAINER))
    commands.quarantine_listing(listing, reason="Under review.", by=CURATOR)
    with pytest.raises(ListingIsQuarantined):
        commands.accept_transfer(listing, by=by(STRANGER))
    commands.decline_transfer(listing, by=by(STRANGER))
    with pytest.raises(TransferNotOffered, match="nobody"):
        commands.withdraw_transfer(listing, by=by(OWNER))


def test_a_request_for_access_is_granted_refused_and_withdrawn(listing):
    with pytest.raises(Conflict, match="already"):
        commands.request_access(listing, message="", by=by(STRANGER))
    commands.change_access(listing, access=Access.GATED, by=by(OWNER))
    for _ in range(2):
        commands.request_access(listing, message="For a trial.", by=by(STRANGER))
    assert ListingMember.objects.get(agent=STRANGER).message == "For a trial."
    assert Event.objects.filter(type="listing.access_requested").count() == 1
    commands.grant_access(listing, who=STRANGER, by=by(MAINTAINER))
    assert ListingMember.objects.get(agent=STRANGER).belongs
    commands.refuse_access(listing, who=STRANGER, reason="The trial is over.", by=by(MAINTAINER))
    assert not ListingMember.objects.get(agent=STRANGER).belongs
    with pytest.raises(NotFound):
        commands.refuse_access(listing, who=STRANGER, reason="Again.", by=by(MAINTAINER))


def test_a_private_listing_is_not_there_for_strangers(listing):
    commands.change_access(listing, access=Access.PRIVATE, by=by(OWNER))
    for change, what in CHANGES.values():
        with pytest.raises(NotFound):
            change(listing, **what, by=by(STRANGER))
    with pytest.raises(NotFound):
        commands.request_access(listing, message="", by=by(STRANGER))


def test_no_event_holds_what_a_person_wrote_and_erasing_it_leaves_the_log_verifiable(listing):
    commands.yank_version(listing, version="1.0.0", reason="Alice Example found a mistake.", by=by(OWNER))
    commands.change_access(listing, access=Access.GATED, by=by(OWNER))
    commands.request_access(listing, message="I am Bob Example.", by=by(STRANGER))
    bodies = b"".join(bytes(body) for body in Event.objects.values_list("body", flat=True))
    assert b"Example" not in bodies
    assert b"Made for a test." not in bodies
    assert "Version 1.0.0 withdrawn: Alice Example found a mistake." in [entry.what for entry in timeline(listing)]

    commands.erase_texts(listing, metadata=METADATA)
    assert not ListingText.objects.exists()
    row = Listing.objects.get()
    assert (row.title, row.description) == (ERASED, ERASED)
    assert ListingVersion.objects.get(version="1.0.0").yanked_reason == ERASED
    assert ListingMember.objects.get(agent=STRANGER).message == ERASED
    assert "Version 1.0.0 withdrawn: (erased)" in [entry.what for entry in timeline(listing)]
    assert list(verify()) == []
    assert commands.erase_texts(listing, metadata=METADATA) == []


def test_the_command_erases_the_texts_of_a_listing(listing, capsys):
    call_command("erase_texts", "listing", listing)
    assert capsys.readouterr().out == "2 texts erased\n"
    assert Listing.objects.get().title == ERASED
    with pytest.raises(CommandError, match="no listing"):
        call_command("erase_texts", "listing", "nothing")
