"""What a token's mandate covers, limit by limit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from latentmas.protocol.certification import Tier
from latentmas.protocol.errors import InvalidInput
from latentmas.rest.scopes import PURCHASES_WRITE
from marketplace.accounts import mandates
from marketplace.accounts.mandates import Mandate, Purchase, check_mandate, check_terms, parsed, stored
from marketplace.accounts.models import ApiToken

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MANDATE = Mandate(
    currency="USD",
    budget_per_day=5000,
    cap_per_item=2000,
    sellers=("seller-1", "seller-2"),
    tiers=(Tier.GOLD, Tier.PLATINUM),
    expires_at=AT + timedelta(days=1),
)
PURCHASE = Purchase(amount=2000, currency="USD", seller="seller-1", tier=Tier.GOLD)


def test_a_purchase_within_every_limit_passes():
    check_mandate(MANDATE, PURCHASE, spent_today=3000, at=AT)


def test_a_mandate_without_limits_covers_everything_of_its_currency():
    check_mandate(Mandate("USD"), replace(PURCHASE, amount=10**9, tier=None), spent_today=10**9, at=AT)


@pytest.mark.parametrize(
    ("changes", "spent", "at", "refusal"),
    [
        ({}, 0, MANDATE.expires_at, mandates.MandateExpired),
        ({"currency": "EUR"}, 0, AT, mandates.MandateCurrency),
        ({"seller": "seller-3"}, 0, AT, mandates.MandateSeller),
        ({"tier": Tier.SILVER}, 0, AT, mandates.MandateTier),
        ({"tier": None}, 0, AT, mandates.MandateTier),
        ({"amount": 2001}, 0, AT, mandates.MandateCap),
        ({}, 3001, AT, mandates.MandateBudget),
    ],
)
def test_a_purchase_beyond_one_limit_is_refused_by_that_limit(changes, spent, at, refusal):
    with pytest.raises(refusal) as refused:
        check_mandate(MANDATE, replace(PURCHASE, **changes), spent_today=spent, at=at)
    assert type(refused.value) is refusal
    assert refused.value.status == 403


def test_what_is_left_of_the_budget_is_said():
    with pytest.raises(mandates.MandateBudget) as refused:
        check_mandate(MANDATE, PURCHASE, spent_today=4200, at=AT)
    assert refused.value.facts == {"price": 2000, "left": 800, "budget": 5000}


def test_it_is_stored_and_read_without_a_loss():
    assert parsed(stored(MANDATE)) == MANDATE
    assert parsed(stored(Mandate("EUR"))) == Mandate("EUR")


@pytest.mark.parametrize(
    ("mandate", "field"),
    [
        (Mandate("usd"), "currency"),
        (Mandate("US"), "currency"),
        (Mandate("USD", budget_per_day=-1), "budget_per_day"),
        (Mandate("USD", cap_per_item=10**13), "cap_per_item"),
        (Mandate("USD", sellers=()), "sellers"),
        (Mandate("USD", sellers=("s",) * 51), "sellers"),
        (Mandate("USD", tiers=()), "tiers"),
    ],
)
def test_terms_that_make_no_sense_are_refused(mandate, field):
    with pytest.raises(InvalidInput) as refused:
        check_terms(mandate)
    assert refused.value.facts["field"] == f"mandate.{field}"


@pytest.mark.django_db
def test_a_token_shows_its_mandate(logged_in):
    terms = {"currency": "USD", "cap_per_item": 2000, "tiers": ["gold"], "expires_at": "2027-01-01T00:00:00Z"}
    wanted = {"name": "buyer", "scopes": [PURCHASES_WRITE], "mandate": terms}
    made = logged_in.post("/api/tokens", wanted, "application/json").json()
    assert made["mandate"] == terms | {"budget_per_day": None, "sellers": None}
    mandate = ApiToken.objects.get().mandate
    assert (mandate.cap_per_item, mandate.tiers) == (2000, (Tier.GOLD,))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({}, "mandate.currency"),
        ({"currency": "usd"}, "mandate.currency"),
        ({"currency": "USD", "cap_per_item": -1}, "mandate.cap_per_item"),
        ({"currency": "USD", "cap_per_item": 1.5}, "mandate.cap_per_item"),
        ({"currency": "USD", "sellers": []}, "mandate.sellers"),
        ({"currency": "USD", "tiers": ["diamond"]}, "mandate.tiers.0"),
        ({"currency": "USD", "cap": 1}, "mandate.cap"),
    ],
)
def test_a_wrong_mandate_makes_no_token(logged_in, terms, field):
    wanted = {"name": "buyer", "scopes": [PURCHASES_WRITE], "mandate": terms}
    refused = logged_in.post("/api/tokens", wanted, "application/json")
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert not ApiToken.objects.exists()
