"""What was bought and sold: lists, one purchase with receipt, file and review; nobody else's."""

import hashlib
import json

import pytest

from marketplace.reputation.models import Review
from marketplace.reputation.review_commands import remove_review, write_review
from marketplace.sales.commands import refund_sale
from marketplace.sales.events import RefundReason
from marketplace.sales.models import Sale
from marketplace.sales.receipts import PAYLOAD_TYPE
from tests.marketplace import sample
from tests.marketplace.web.selling import bought, page

pytestmark = pytest.mark.django_db
SAID = {"rating": 4, "text": "It answered all but one question."}


@pytest.fixture
def sale(bea, memory):
    return bought(bea, memory)


def refund(sale, amount=None):
    refund_sale(sale, amount=amount, reason=RefundReason.GOODWILL, by_curator=False, metadata=sample.METADATA)


def test_both_parties_see_a_sale_in_their_own_list(buying, browser, stranger, sale):
    for client, path, name in ((buying, "/my/purchases", "alice-labs"), (browser, "/my/sales", "bea-buys")):
        text = page(client, path)
        assert f'href="/my/purchases/{sale}"' in text
        assert "Minutes" in text
        assert name in text
    for client, path in ((buying, "/my/sales"), (browser, "/my/purchases"), (stranger, "/my/purchases")):
        assert sale not in page(client, path)


def test_the_list_comes_in_pages(buying, bea, memory, monkeypatch):
    monkeypatch.setattr("marketplace.web.purchase_pages.ROWS", 2)
    sales = [bought(bea, memory) for _ in range(3)]
    first = page(buying, "/my/purchases")
    assert [sale in first for sale in sales] == [False, True, True]
    older = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = page(buying, f"/my/purchases{older}")
    assert [sale in second for sale in sales] == [True, False, False]
    assert "Older" not in second


@pytest.mark.parametrize("query", ["before=yesterday", "agent=nobody", "agent=%00"])
def test_a_wrong_address_of_a_list_is_not_found(buying, query):
    page(buying, f"/my/purchases?{query}", 404)


def test_another_agents_list_is_not_found(buying, seller):
    for path in ("purchases", "sales", "wallet", "wallet/statement"):
        page(buying, f"/my/{path}?agent={seller}", 404)


def test_a_purchase_shows_its_receipt_and_what_was_delivered(buying, sale):
    text = page(buying, f"/my/purchases/{sale}")
    row = Sale.objects.get()
    for said in (
        sale,
        f"{row.price / 100:.2f} USD",
        "alice-labs",
        "bea-buys",
        "creator",
        "platform",
        "untrusted_tokens",
    ):
        assert said in text, said
    assert row.file_digest.removeprefix("sha256:") in text
    assert buying.get(f"/my/purchases/{sale}")["Cache-Control"] == "private, no-store"


def test_the_file_is_the_buyers_alone(buying, browser, stranger, sale):
    path = f"/my/purchases/{sale}/file"
    assert f'href="{path}"' in page(buying, f"/my/purchases/{sale}")
    answer = buying.get(path)
    data = b"".join(answer.streaming_content)
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == Sale.objects.get().file_digest
    assert answer["Cache-Control"] == "private, no-store"
    assert path not in page(browser, f"/my/purchases/{sale}")
    page(browser, path, 404)
    page(stranger, path, 404)


def test_the_receipt_is_both_parties(buying, browser, stranger, sale):
    path = f"/my/purchases/{sale}/receipt"
    assert f'href="{path}"' in page(browser, f"/my/purchases/{sale}")
    answers = [client.get(path) for client in (buying, browser)]
    assert answers[0].content == answers[1].content
    document = json.loads(answers[0].content)
    assert document["envelope"]["payloadType"] == PAYLOAD_TYPE
    page(stranger, path, 404)


def test_a_purchase_is_shown_to_nobody_else(stranger, client, sale):
    for more in ("", "/file", "/receipt"):
        page(stranger, f"/my/purchases/{sale}{more}", 404)
        assert client.get(f"/my/purchases/{sale}{more}")["Location"].startswith("/log-in")
    assert stranger.post(f"/my/purchases/{sale}", SAID).status_code == 404
    assert not Review.objects.exists()


@pytest.mark.parametrize("sale_id", ["nothing", "%00", "x" * 300])
@pytest.mark.parametrize("more", ["", "/file", "/receipt"])
def test_a_purchase_that_is_not_there_is_not_found(buying, sale_id, more):
    page(buying, f"/my/purchases/{sale_id}{more}", 404)


def test_a_refunded_purchase_has_no_file_any_more(buying, sale):
    refund(sale)
    text = page(buying, f"/my/purchases/{sale}")
    assert "The price was given back" in text
    assert f"/my/purchases/{sale}/file" not in text
    answer = buying.get(f"/my/purchases/{sale}/file", follow=True)
    assert answer.redirect_chain == [(f"/my/purchases/{sale}", 302)]
    assert "with it the right to the file" in answer.content.decode()


def test_a_partly_refunded_purchase_keeps_its_file(buying, sale):
    refund(sale, 100)
    text = page(buying, f"/my/purchases/{sale}")
    assert "<dt>Refunded</dt><dd>1.00 USD</dd>" in text
    assert f"/my/purchases/{sale}/file" in text
    assert "partly refunded" in page(buying, "/my/purchases")


def test_a_lost_report_is_said_to_be_lost(buying, sale, blobs_folder):
    digest = Sale.objects.get().report_digest.removeprefix("sha256:")
    (stored,) = [each for each in blobs_folder.rglob("*") if each.is_file() and digest in str(each).replace("/", "")]
    stored.unlink()
    text = page(buying, f"/my/purchases/{sale}")
    assert f"sha256:{digest[:8]}" in text
    assert "untrusted_tokens" not in text
    assert sale in text


def test_the_buyer_reviews_changes_once_and_the_seller_answers(buying, browser, sale, memory):
    path = f"/my/purchases/{sale}"
    assert "Publish the review" in page(buying, path)
    assert "Publish" not in page(browser, path)
    assert buying.post(path, SAID)["Location"] == path
    text = page(buying, path)
    assert "It answered all but one question." in text
    assert "Change it for good" in text
    assert browser.post(path, {"text": "Which one?", "seen": 1})["Location"] == path
    assert "Which one?" in page(buying, path)
    assert "Publish the answer" not in page(browser, path)
    assert buying.post(path, {"rating": 5, "text": "All of them.", "seen": 2})["Location"] == path
    row = Review.objects.get()
    assert (row.rating, row.text, row.answer) == (5, "All of them.", "Which one?")
    assert "Change it for good" not in page(buying, path)
    assert "All of them." in page(buying, f"/memories/{memory}")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rating": ""}, "This field is required"),
        ({"rating": 0}, "Select a valid choice"),
        ({"rating": 6}, "Select a valid choice"),
        ({"rating": "good"}, "Select a valid choice"),
        ({"text": ""}, "This field is required"),
        ({"text": "x" * 4001}, "at most 4000 characters"),
        ({"text": "a\x00b"}, "Null characters"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_wrong_review_says_why_and_is_not_recorded(buying, sale, changes, problem):
    answer = buying.post(f"/my/purchases/{sale}", SAID | changes)
    assert answer.status_code == 200
    assert problem in answer.content.decode()
    assert not Review.objects.exists()


def test_a_review_that_has_changed_meanwhile_is_not_overwritten(buying, bea, sale):
    write_review(sale, agent=bea, rating=4, text="Good.", metadata=sample.METADATA)
    answer = buying.post(f"/my/purchases/{sale}", {"rating": 1, "text": "Bad.", "seen": 0})
    assert "errorlist" in answer.content.decode()
    assert Review.objects.get().rating == 4


def test_a_removed_review_leaves_nothing_to_say(buying, browser, bea, sale):
    write_review(sale, agent=bea, rating=1, text="Rude.", metadata=sample.METADATA)
    remove_review(sale, reason="Rude words.", metadata=sample.METADATA)
    for client in (buying, browser):
        text = page(client, f"/my/purchases/{sale}")
        assert "Rude words." in text
        assert "Rude.<" not in text
        assert "Publish" not in text


def test_the_pages_cost_a_constant_number_of_queries(buying, bea, memory, django_assert_max_num_queries):
    sales = [bought(bea, memory) for _ in range(4)]
    with django_assert_max_num_queries(10):
        page(buying, "/my/purchases")
    with django_assert_max_num_queries(14):
        page(buying, f"/my/purchases/{sales[0]}")
