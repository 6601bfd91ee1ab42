"""In the admin curators remove reviews, and operators fill the bonus fund, each for a reason."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from marketplace.ledger.accounts import bonuses
from marketplace.ledger.balances import balance_of
from marketplace.reputation.models import BonusFilling, BonusText, Review, ReviewText
from marketplace.reputation.review_commands import write_review
from tests.marketplace.sales.toys import TEST, bought

pytestmark = pytest.mark.django_db
REVIEWS, FILLING = "/admin/reputation/review/", "/admin/reputation/bonusfilling/add/"


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("carol", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def review(maker: str, buyer: str) -> str:
    sale = bought(buyer)
    write_review(sale, agent=buyer, rating=1, text="Call me at home", metadata=TEST)
    return sale


def act(client: Client, action: str, review: str, **typed: str) -> str:
    body = {"action": action, "_selected_action": review} | typed
    return client.post(REVIEWS, body, follow=True).content.decode()


def test_a_curator_is_asked_for_the_reason_and_then_removes(review: str) -> None:
    curator = staff("curate")
    assert "neither shown nor counted" in act(curator, "remove", review)
    assert "This field is required" in act(curator, "remove", review, apply="yes", reason="")
    assert Review.objects.get().removed_at is None
    act(curator, "remove", review, apply="yes", reason="it names a person")
    assert Review.objects.get().removed_reason == "it names a person"
    assert "a curator has removed this review" in act(curator, "remove", review, apply="yes", reason="again")


def test_a_curator_erases_what_was_written(review: str) -> None:
    curator = staff("curate")
    assert "Their ratings stay" in act(curator, "erase", review)
    assert ReviewText.objects.exists()
    act(curator, "erase", review, apply="yes")
    assert (Review.objects.get().text, Review.objects.get().rating) == ("(erased)", 1)
    assert "review.texts_erased" in curator.get(f"{REVIEWS}{review}/change/").content.decode()


def test_who_only_looks_removes_nothing(review: str) -> None:
    act(staff("view_review"), "remove", review, apply="yes", reason="because")
    assert Review.objects.get().removed_at is None


def test_an_operator_fills_the_fund_for_a_reason(maker: str, buyer: str) -> None:
    bought(buyer)  # the platform has 1.50 of it
    operator = staff("add_bonusfilling", "view_bonusfilling")
    typed = {"currency": "USD", "amount": 100, "reason": "the campaign"}
    assert "platform:USD holds 150" in operator.post(FILLING, typed | {"amount": 151}).content.decode()
    assert "This field is required" in operator.post(FILLING, typed | {"reason": ""}).content.decode()
    assert not BonusText.objects.exists()
    done = operator.post(FILLING, typed, follow=True).content.decode()
    assert "The fund holds 100 USD now" in done
    row = BonusFilling.objects.get()
    assert (row.amount, row.reason, row.actor.startswith("user:")) == (100, "the campaign", True)
    assert balance_of(bonuses("USD")) == 100


def test_a_curator_may_not_fill_the_fund(db: None) -> None:
    assert staff("curate").get(FILLING).status_code == 403


def test_records_show_scores(maker: str, buyer: str) -> None:
    bought(buyer)
    page = staff("curate").get("/admin/reputation/agentrecord/").content.decode()
    assert maker in page
    assert "(D)" in page
