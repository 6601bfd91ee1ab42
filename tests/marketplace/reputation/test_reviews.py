"""Reviews: one for each purchase, by its buyer; changed once, answered once, removed by a curator."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from latentmas.events import store
from latentmas.rest.scopes import REVIEWS_WRITE
from marketplace.agents.models import Agent
from marketplace.reputation.models import Review, ReviewText
from marketplace.reputation.review_commands import erase_review_texts, write_review
from marketplace.sales.commands import Buyer, open_sale, refund_sale, void_sale
from marketplace.sales.errors import OwnGoods
from marketplace.sales.events import RefundReason, VoidReason
from tests.marketplace.conftest import client_of
from tests.marketplace.sales.toys import TEST, Toys, bought, quoted

pytestmark = pytest.mark.django_db
JSON = "application/json"
SAID: dict[str, Any] = {"rating": 4, "text": "It answered all but one question."}


@pytest.fixture
def critic(buyer: str) -> Client:
    """A client that reviews as the buyer."""
    return client_of(User.objects.get(username="buyer"), REVIEWS_WRITE)


@pytest.fixture
def answerer(maker: str) -> Client:
    """A client that answers as the seller."""
    return client_of(User.objects.get(username="maker"), REVIEWS_WRITE)


@pytest.fixture
def sale(maker: str, buyer: str) -> str:
    return bought(buyer)


def write(client: Client, sale: str, **changes: Any) -> Any:
    return client.post("/api/reviews", {"purchase": sale} | SAID | changes, JSON)


def seen(version: int) -> dict[str, str]:
    return {"If-Match": f'"{version}"'}


def test_a_buyer_reviews_what_it_has_bought(critic: Client, sale: str, maker: str, buyer: str) -> None:
    answer = write(critic, sale)
    document = answer.json()
    assert (answer.status_code, answer["Location"], answer["ETag"]) == (201, f"/api/reviews/{sale}", '"1"')
    assert (document["reviewer"], document["seller"], document["item"]) == (buyer, maker, "toy")
    assert (document["rating"], document["text"], document["answer"]) == (4, SAID["text"], None)
    assert document["counts"] is True
    assert Client().get(answer["Location"]).json() == document


def test_the_log_holds_no_word_of_it(critic: Client, sale: str) -> None:
    write(critic, sale)
    (event,) = store.read_stream(f"review/{sale}")
    assert event.data.text.plain is None
    assert event.data.text.commitment == ReviewText.objects.get(sale=sale).commitment


def test_a_purchase_has_one_review(critic: Client, sale: str) -> None:
    key = {"Idempotency-Key": "once"}
    bodies = [critic.post("/api/reviews", {"purchase": sale} | SAID, JSON, headers=key).json() for _ in range(2)]
    assert bodies[0] == bodies[1]
    again = write(critic, sale)
    assert (again.status_code, again.json()["code"]) == (409, "REVIEW_EXISTS")
    assert ReviewText.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rating": 0}, "rating"),
        ({"rating": 6}, "rating"),
        ({"rating": "good"}, "rating"),
        ({"text": "   "}, "text"),
        ({"text": "x" * 4001}, "text"),
        ({"text": "a\x07b"}, "text"),
        ({"stars": 5}, "stars"),
        ({"purchase": "x" * 37}, "purchase"),
    ],
)
def test_a_malformed_review_is_refused(critic: Client, sale: str, changes: dict[str, Any], field: str) -> None:
    answer = write(critic, sale, **changes)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert not ReviewText.objects.exists()


def test_nobody_reviews_what_he_has_not_bought(answerer: Client, sale: str) -> None:
    assert write(answerer, sale).status_code == 404
    assert write(answerer, "7d0c2a4e-0000-4000-8000-000000000001").status_code == 404


def test_an_open_or_voided_purchase_is_not_reviewed(critic: Client, maker: str, buyer: str) -> None:
    made = quoted(buyer).quote
    open_sale(made, Buyer(buyer), at=made.expires_at, metadata=TEST)
    early = write(critic, made.id)
    assert (early.status_code, early.json()["code"]) == (409, "SALE_NOT_CAPTURED")
    void_sale(made.id, reason=VoidReason.EXPIRED, metadata=TEST)
    assert write(critic, made.id).json()["code"] == "SALE_NOT_CAPTURED"


def test_what_was_wholly_refunded_is_not_reviewed(critic: Client, sale: str) -> None:
    refund_sale(sale, amount=None, reason=RefundReason.DEFECTIVE, by_curator=True, metadata=TEST)
    answer = write(critic, sale)
    assert (answer.status_code, answer.json()["code"]) == (410, "SALE_REFUNDED")


def test_a_partly_refunded_purchase_is_reviewed(critic: Client, sale: str) -> None:
    refund_sale(sale, amount=400, reason=RefundReason.DEFECTIVE, by_curator=True, metadata=TEST)
    assert write(critic, sale).json()["counts"] is True


def test_own_goods_are_not_reviewed(sale: str, maker: str, buyer: str) -> None:
    Agent.objects.filter(id=maker).update(owner=Agent.objects.get(id=buyer).owner)
    with pytest.raises(OwnGoods):
        write_review(sale, agent=buyer, metadata=TEST, **SAID)
    assert not ReviewText.objects.exists()


def test_the_review_of_a_free_or_refunded_purchase_is_shown_but_does_not_count(
    critic: Client, sale: str, maker: str, buyer: str, toys: Toys
) -> None:
    toys.put("gift", seller=maker, price=0)
    assert write(critic, bought(buyer, "gift")).json()["counts"] is False
    url = write(critic, sale)["Location"]
    refund_sale(sale, amount=None, reason=RefundReason.GOODWILL, by_curator=True, metadata=TEST)
    assert critic.get(url).json()["counts"] is False


def test_a_review_is_changed_once(critic: Client, answerer: Client, sale: str) -> None:
    url = write(critic, sale)["Location"]
    assert critic.put(url, {"rating": 2, "text": "On reflection."}, JSON).status_code == 428
    refused = answerer.put(url, {"rating": 5, "text": "Perfect."}, JSON, headers=seen(1))
    assert (refused.status_code, refused.json()["code"]) == (403, "NOT_YOUR_REVIEW")
    changed = critic.put(url, {"rating": 2, "text": "On reflection."}, JSON, headers=seen(1))
    assert (changed.status_code, changed.json()["rating"], changed.json()["text"]) == (200, 2, "On reflection.")
    assert critic.put(url, SAID, JSON, headers=seen(1)).status_code == 412
    again = critic.put(url, SAID, JSON, headers=seen(2))
    assert (again.status_code, again.json()["code"]) == (409, "REVIEW_IS_FINAL")


def test_the_seller_answers_once(critic: Client, answerer: Client, sale: str) -> None:
    url = write(critic, sale)["Location"]
    body = {"text": "Ask for the newer version."}
    assert critic.post(f"{url}/answer", body, JSON, headers=seen(1)).json()["code"] == "NOT_YOUR_REVIEW"
    answer = answerer.post(f"{url}/answer", body, JSON, headers=seen(1))
    assert (answer.status_code, answer.json()["answer"]) == (201, body["text"])
    again = answerer.post(f"{url}/answer", body, JSON, headers=seen(2))
    assert (again.status_code, again.json()["code"]) == (409, "REVIEW_IS_FINAL")


def test_a_curator_removes_a_review_for_a_reason(critic: Client, answerer: Client, curator: Client, sale: str) -> None:
    url = write(critic, sale)["Location"]
    assert answerer.post(f"{url}/removal", {"reason": "untrue"}, JSON, headers=seen(1)).status_code == 403
    assert curator.post(f"{url}/removal", {"reason": " "}, JSON, headers=seen(1)).status_code == 422
    removed = curator.post(f"{url}/removal", {"reason": "it names a person"}, JSON, headers=seen(1))
    assert (removed.status_code, removed.json()["reason"]) == (200, "it names a person")
    gone = critic.get(url)
    assert (gone.status_code, gone.json()["code"]) == (410, "REVIEW_REMOVED")
    assert write(critic, sale).json()["code"] == "REVIEW_REMOVED"
    assert critic.put(url, SAID, JSON, headers=seen(2)).status_code == 410
    assert Client().get("/api/reviews").json()["results"] == []


def test_erased_texts_leave_the_rating(critic: Client, sale: str) -> None:
    url = write(critic, sale)["Location"]
    erase_review_texts(sale, metadata=TEST)
    assert (critic.get(url).json()["text"], critic.get(url).json()["rating"]) == ("(erased)", 4)
    assert not ReviewText.objects.exists()


def test_the_command_erases_what_was_written(critic: Client, sale: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(critic, sale)
    call_command("erase_texts", "review", sale)
    assert capsys.readouterr().out == "1 texts erased\n"
    assert not ReviewText.objects.exists()
    with pytest.raises(CommandError, match="there is no review"):
        call_command("erase_texts", "review", "nothing")


def test_reviews_are_listed_newest_first_by_seller_and_item(
    critic: Client, maker: str, buyer: str, toys: Toys, agent_of: Callable[[str], str]
) -> None:
    toys.put("other", seller=agent_of("rival"))
    sales = [bought(buyer, item) for item in ("toy", "toy", "other")]
    for each in sales:
        write_review(each, agent=buyer, rating=3, text="so so", metadata=TEST)
    visitor = Client()

    def listed(query: str) -> list[str]:
        return [row["id"] for row in visitor.get(f"/api/reviews?{query}").json()["results"]]

    assert listed("") == sales[::-1]
    assert listed(f"seller={maker}") == sales[1::-1]
    assert listed("item=other&kind=memory") == sales[2:]
    assert listed("kind=embedding") == []
    assert visitor.get("/api/reviews?item=%00").status_code == 422
    first = visitor.get("/api/reviews?limit=2").json()
    rest = visitor.get("/api/reviews", {"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [row["id"] for row in first["results"] + rest["results"]] == sales[::-1]
    assert rest["next_cursor"] is None


def test_reviewing_needs_its_scope(sale: str, shop: Callable[[str], Client]) -> None:
    assert write(shop("buyer"), sale).status_code == 403  # PURCHASES_WRITE alone
    assert write(Client(), sale).status_code == 401
    assert not Review.objects.exists()


def test_a_list_of_reviews_takes_few_queries(
    maker: str, buyer: str, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for _ in range(3):
        write_review(bought(buyer), agent=buyer, rating=3, text="so so", metadata=TEST)
    with django_assert_num_queries(2):
        assert len(Client().get("/api/reviews").json()["results"]) == 3
