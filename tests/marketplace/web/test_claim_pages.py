"""Claims by pages: a dispute from its opening to its end, and texts that are named before a purchase."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from latentmas.protocol.errors import ModelNotSupported
from marketplace.claims import promises
from marketplace.claims.acceptance_aggregate import Figures
from marketplace.claims.acceptance_commands import record_measurement, record_not_measured
from marketplace.claims.acceptance_events import Kept
from marketplace.claims.commands import resolve_dispute
from marketplace.claims.events import Outcome
from marketplace.claims.models import Acceptance, AcceptanceText, Dispute
from marketplace.sales.commands import refund_sale
from marketplace.sales.events import RefundReason
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.models import Sale
from marketplace.sales.quotes import quote
from tests.marketplace import sample
from tests.marketplace.sales.toys import TEST, funds
from tests.marketplace.web.certified import TEXTS, certified_of
from tests.marketplace.web.selling import bought, page

pytestmark = pytest.mark.django_db
TEXTS_PAGE = "/my/purchases/new/texts"
WRONG = {"kind": "defective", "text": "It cannot be read:\r\nit ends after its header."}
RECORD = {"metadata": TEST}


@pytest.fixture
def sale(bea, memory):
    return bought(bea, memory)


@pytest.fixture
def path(sale):
    return f"/my/purchases/{sale}/dispute"


def seen(client, path):
    return {"seen": int(re.search(r'name="seen" value="(\d+)"', page(client, path))[1])}


def test_a_dispute_is_opened_answered_and_decided(buying, browser, seller, sale, path):
    assert f'href="{path}"' in page(buying, f"/my/purchases/{sale}")
    assert f'href="{path}"' not in page(browser, f"/my/purchases/{sale}")
    assert "The buyer has opened none" in page(browser, path)
    assert buying.post(path, WRONG)["Location"] == path
    row, price = Dispute.objects.get(), Sale.objects.get().price
    assert (row.id, row.status, row.kind, row.amount) == (sale, "open", "defective", price)
    for client, sold in ((buying, "purchases"), (browser, "sales")):
        assert "It cannot be read:<br>it ends after its header." in page(client, f"/my/purchases/{sale}")
        assert f'<a href="{path}">in dispute</a>' in page(client, f"/my/{sold}")
    assert "Set aside of the wallet" in page(browser, path)
    assert "Set aside of the wallet" not in page(buying, path)
    assert "Answer it, once" not in page(buying, path)

    assert browser.post(path, {"text": "It has 9 tokens."} | seen(browser, path))["Location"] == path
    assert "It has 9 tokens." in page(buying, path)
    assert "Answer it, once" not in page(browser, path)
    before = funds(row.buyer)
    resolve_dispute(Dispute.objects.get(), outcome=Outcome.PARTLY_REFUNDED, amount=100, reason="Half read.", **RECORD)
    text = page(buying, f"/my/purchases/{sale}")
    assert "resolved: partly-refunded" in text
    assert "<dd>1.00 USD</dd>" in text
    assert "Half read." in text
    assert funds(row.buyer) == before + 100
    assert "<form" not in page(buying, path).split("<main")[1]
    assert "in dispute" not in page(browser, "/my/sales")


def test_the_buyer_takes_a_dispute_back_and_may_open_another(buying, sale, path):
    buying.post(path, WRONG)
    assert "Take it back" in page(buying, f"/my/purchases/{sale}")
    assert buying.post(path, {"seen": 99}).status_code == 200
    assert Dispute.objects.get().status == "open"
    assert buying.post(path, seen(buying, path))["Location"] == path
    assert "The buyer has taken it back" in page(buying, path)
    assert "Open another one" in page(buying, f"/my/purchases/{sale}")
    assert buying.post(path, WRONG).status_code == 302
    assert Dispute.objects.get().status == "open"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"kind": ""}, "This field is required"),
        ({"kind": "ugly"}, "Select a valid choice"),
        ({"text": " "}, "This field is required"),
        ({"text": "x" * 4001}, "at most 4000 characters"),
        ({"text": "a\x01b"}, "control characters"),
    ],
    ids=str,
)
def test_a_wrong_complaint_says_why_and_is_not_recorded(buying, path, changes, problem):
    answer = buying.post(path, WRONG | changes)
    assert answer.status_code == 200
    assert problem in answer.content.decode()
    assert not Dispute.objects.exists()


def test_there_is_a_time_for_disputes_and_something_must_be_left_to_give_back(buying, sale, path):
    Sale.objects.update(captured_at=timezone.now() - timedelta(days=15))
    assert "the time was over" in page(buying, path)
    assert buying.post(path, WRONG).status_code == 200
    Sale.objects.update(captured_at=timezone.now())
    refund_sale(sale, amount=None, reason=RefundReason.GOODWILL, by_curator=False, metadata=TEST)
    assert "the price was given back" in page(buying, path)
    assert not Dispute.objects.exists()


def test_a_dispute_is_its_parties_alone(stranger, browser, client, buying, path):
    buying.post(path, WRONG)
    page(stranger, path, 404)
    assert stranger.post(path, {"text": "Mine.", "seen": 1}).status_code == 404
    assert client.get(path)["Location"] == f"/log-in?next={path}"
    assert buying.post(path, {"text": "I answer myself."} | seen(buying, path)).status_code == 302  # takes it back
    assert Dispute.objects.get().answer is None
    assert buying.get(path)["Cache-Control"] == "private, no-store"


@pytest.fixture
def listing(registry, seller, monkeypatch):
    monkeypatch.setattr(promises, "installed_models", lambda: [sample.SOURCE, sample.TARGET])
    return certified_of(seller)


@pytest.fixture
def quoted(listing, bea):
    return quote(Kind.W_MATRIX, listing, delivery=Delivery(), buyer=bea)


def named(client, quoted, **typed):
    given = {"quote": quoted.token, "length": 256, "texts": "\r\n---\r\n".join(TEXTS)} | typed
    answer = client.post(TEXTS_PAGE, given)
    return answer.status_code, answer.content.decode().replace("&#x27;", "'")


def test_texts_are_named_with_the_quote_and_measured_after_the_purchase(buying, browser, bea, listing, quoted):
    shown = buying.post(f"/buy/w-matrix/{listing}", {"agent": bea}).content.decode()
    assert "at least 0.7300 of a context of 256 tokens is kept" in shown
    asked = buying.post(TEXTS_PAGE, {"quote": quoted.token}).content.decode()
    assert "256 tokens: at least 0.7300 is kept; texts of 1280 characters and more" in asked
    assert "errorlist" not in asked
    _, text = named(buying, quoted)
    assert "The texts are named." in text
    assert "Confirm and pay" in text
    assert set(AcceptanceText.objects.values_list("text", flat=True)) == {each.strip() for each in TEXTS}
    buying.post("/my/purchases/new", {"quote": quoted.token})
    sale = f"/my/purchases/{quoted.quote.id}"
    assert "requested" in page(buying, sale)
    assert "Measured on the buyer" not in page(browser, sale)

    kept = Kept("0.5000", "0.3000", "0.7200")
    record_measurement(quoted.quote.id, Figures(kept, 8, 504, "arms/test"), metadata=TEST)
    for client in (buying, browser):
        text = page(client, sale)
        for said in (
            "<dd>0.3000 to 0.7200</dd>",
            "<dd>at least 0.7300</dd>",
            "Below the certificate",
            "<dd>19.99 USD</dd>",
        ):
            assert said in text, said


def test_why_nothing_was_measured_is_said(buying, listing, quoted):
    named(buying, quoted)
    buying.post("/my/purchases/new", {"quote": quoted.token})
    record_not_measured(quoted.quote.id, code="ACCEPTANCE_TEXTS_TOO_FEW", metadata=TEST)
    assert "Not measured:</b> fewer than eight of the texts count." in page(buying, f"/my/purchases/{quoted.quote.id}")


def test_texts_come_from_files_too(buying, quoted):
    files = [SimpleUploadedFile(f"{n}.txt", b"\xef\xbb\xbf" + each.encode()) for n, each in enumerate(TEXTS[:5])]
    _, text = named(buying, quoted, documents=files, texts="\n---\n".join(TEXTS[5:]))
    assert "The texts are named." in text
    assert Acceptance.objects.get().named == 8


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"texts": ""}, "0 texts are named; name 8 to 24"),
        ({"texts": "\n---\n".join(TEXTS[:7])}, "7 texts are named"),
        ({"texts": "\n---\n".join([*TEXTS[:7], "short"])}, "Text 8: the text has 5 characters"),
        ({"texts": "\n---\n".join([*TEXTS, TEXTS[0]])}, "two of the texts are the same"),
        ({"length": 1024}, "Text 1: the text has"),
        ({"length": 7}, "Select a valid choice"),
        ({"documents": SimpleUploadedFile("a.bin", b"\xff\xfe")}, "a.bin is no text in UTF-8"),
    ],
    ids=["none", "seven", "short", "twice", "longer", "unknown", "binary"],
)
def test_wrong_texts_say_why_and_none_is_kept(buying, quoted, typed, problem):
    status, text = named(buying, quoted, **typed)
    assert status == 200
    assert problem in text
    assert not AcceptanceText.objects.exists()


def test_texts_that_are_too_long_are_refused_by_their_length(buying, quoted, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 4096
    answer = buying.post(TEXTS_PAGE, {"quote": quoted.token, "length": 256, "texts": "x" * 5000}, follow=True)
    assert "the limit is 4096" in answer.content.decode()


def test_texts_are_named_before_the_purchase_and_once(buying, quoted):
    named(buying, quoted)
    assert "texts were named for this quote" in named(buying, quoted)[1]
    buying.post("/my/purchases/new", {"quote": quoted.token})
    status, text = named(buying, quoted)
    assert status == 409
    assert "has had this W-Matrix before" in text


def test_where_nothing_can_be_measured_the_quote_says_so(buying, bea, listing, monkeypatch):
    monkeypatch.setattr(promises, "installed_models", list)
    text = buying.post(f"/buy/w-matrix/{listing}", {"agent": bea}).content.decode()
    assert "cannot be run on this server" in text
    assert "Name texts" not in text
    made = quote(Kind.W_MATRIX, listing, delivery=Delivery(), buyer=bea)
    assert named(buying, made)[0] == ModelNotSupported.status


def test_anothers_quote_is_not_found_and_its_form_needs_its_token(stranger, bea, quoted):
    assert stranger.post(TEXTS_PAGE, {"quote": quoted.token}).status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="bea"))
    assert strict.post(TEXTS_PAGE, {"quote": quoted.token}).status_code == 403
    assert strict.post("/my/memories/stored", {}).status_code == 403
