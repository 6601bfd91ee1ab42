"""Texts that a buyer names before a purchase: which are taken, what becomes of them, and who is told."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from latentmas.events.changes import read_changes
from latentmas.events.models import Event
from latentmas.events.rebuilding import check, chosen
from latentmas.jobs.commands import end_open
from latentmas.jobs.models import Job, State
from latentmas.protocol.money import Money
from marketplace.claims import promises
from marketplace.claims.acceptance_aggregate import Figures
from marketplace.claims.acceptance_commands import MAX_WAITING, record_measurement, record_not_measured
from marketplace.claims.acceptance_events import Kept
from marketplace.claims.measuring import ATTEMPTS, MEASURE, keep_up, order_of
from marketplace.claims.models import Acceptance, AcceptanceText
from marketplace.listings.commands import revoke_certificate
from marketplace.sales.commands import refund_sale
from marketplace.sales.events import RefundReason
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.models import Entitlement, Sale
from marketplace.sales.quotes import Quoted, quote
from tests.marketplace import sample
from tests.marketplace.sales.toys import TEST, funds, total

pytestmark = pytest.mark.django_db
JSON = "application/json"
CHARACTERS = 4 * (256 + 64)
TEXTS = [f"{number}: " + "what the buyer's agents read all day. " * 40 for number in range(8)]
BELOW, ABOVE = Kept("0.5000", "0.3000", "0.7200"), Kept("0.7000", "0.6000", "0.7800")
EVENTS = ["acceptance.requested", "acceptance.measured", "acceptance.not_measured", "acceptance.lapsed"]


@pytest.fixture(autouse=True)
def toys() -> None:
    """No toys: what is sold here is a W-Matrix."""


@pytest.fixture
def maker(agent_of: Callable[[str], str]) -> str:
    return agent_of("maker")


@pytest.fixture
def listing(registry: None, maker: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A W-Matrix for 10.00 USD whose certificate promises .73 at 256 tokens, between models that run here."""
    monkeypatch.setattr(promises, "installed_models", lambda: [sample.SOURCE, sample.TARGET])
    return listed(maker)


def listed(seller: str, price: int = 1000, quality: Any = None) -> str:
    return sample.make_listing(
        quality=quality or sample.with_suite(),
        at=timezone.now(),
        listing_id=sample.listing_id_for_seller(f"{seller}{price}"),
        seller=seller,
        price=Money(price, "USD"),
    )


@pytest.fixture
def client(listing: str, buyer: str, shop: Callable[[str], Client]) -> Client:
    return shop("buyer")


@pytest.fixture
def seller(listing: str, shop: Callable[[str], Client]) -> Client:
    return shop("maker")


@pytest.fixture
def quoted(listing: str, buyer: str) -> Quoted:
    return quote(Kind.W_MATRIX, listing, delivery=Delivery(), buyer=buyer)


def name(client: Client, quoted: Quoted, texts: list[str] | None = None, **more: Any) -> Any:
    return client.post("/api/acceptances", {"quote": quoted.token, "texts": texts or TEXTS} | more, JSON)


def buy(client: Client, quoted: Quoted) -> None:
    assert client.post("/api/purchases", {"quote": quoted.token}, JSON).status_code == 201


def measured(quoted: Quoted, kept: Kept) -> Acceptance:
    record_measurement(quoted.quote.id, Figures(kept, 8, 504, "arms/test"), metadata=TEST)
    return Acceptance.objects.get(id=quoted.quote.id)


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_texts_are_named_with_a_quote(client: Client, quoted: Quoted, buyer: str, maker: str) -> None:
    answer = name(client, quoted)
    made = answer.json()
    assert (answer.status_code, answer["Location"]) == (201, f"/api/acceptances/{quoted.quote.id}")
    assert (made["status"], made["named"], made["buyer"], made["seller"]) == ("requested", 8, buyer, maker)
    assert made["promise"] == {"mode": "tokens-known", "length": 256, "low": "0.7300"}
    assert client.get(made["url"]).json() == made
    assert client.get("/api/acceptances").json()["results"] == [made]
    assert set(AcceptanceText.objects.values_list("text", flat=True)) == set(TEXTS)


def test_a_longer_context_that_the_certificate_covers_may_be_chosen(client: Client, quoted: Quoted) -> None:
    longer = [each * 4 for each in TEXTS]
    made = name(client, quoted, longer, length=1024).json()
    assert made["promise"] == {"mode": "tokens-known", "length": 1024, "low": "0.6900"}


def test_no_event_holds_a_text(client: Client, quoted: Quoted) -> None:
    name(client, quoted)
    bodies = b"".join(bytes(event.body) for event in Event.objects.all())
    assert b"agents read all day" not in bodies


def test_a_purchase_is_measured_once_it_is_made(client: Client, quoted: Quoted) -> None:
    name(client, quoted)
    keep_up(at=timezone.now(), metadata=TEST)
    assert not Job.objects.exists()
    buy(client, quoted)
    for _ in range(2):
        keep_up(at=timezone.now(), metadata=TEST)
    job = Job.objects.get()
    assert (job.kind, job.arguments, job.state) == (MEASURE, {"acceptance": quoted.quote.id}, "queued")
    order = order_of(quoted.quote.id)
    assert order is not None
    assert (sorted(order.texts), order.promise.low, order.version) == (sorted(TEXTS), "0.7300", "1.0.0")


def test_below_the_certificate_the_server_gives_the_price_back(
    client: Client, seller: Client, quoted: Quoted, maker: str, buyer: str
) -> None:
    name(client, quoted)
    buy(client, quoted)
    row = measured(quoted, BELOW)
    assert (row.status, row.below, row.refunded) == ("measured", True, 1000)
    assert (funds(buyer), funds(maker), total()) == (10_000, 0, 0)
    assert Sale.objects.get().status == "refunded"
    assert Entitlement.objects.get().ended_at is not None
    seen = client.get(f"/api/acceptances/{row.id}").json()
    assert seen["refunded"] == {"amount": 1000, "currency": "USD"}
    assert seen["kept"] == {"value": "0.5000", "low": "0.3000", "high": "0.7200"}
    assert seller.get(f"/api/acceptances/{row.id}").json() == seen
    assert seller.get("/api/acceptances?sold=true").json()["results"] == [seen]
    assert not AcceptanceText.objects.exists()


def test_otherwise_nothing_moves_and_the_buyer_may_open_a_dispute(
    client: Client, quoted: Quoted, maker: str, buyer: str
) -> None:
    name(client, quoted)
    buy(client, quoted)
    row = measured(quoted, ABOVE)
    assert (row.below, row.refunded, funds(buyer), funds(maker)) == (False, 0, 9_000, 800)
    assert not AcceptanceText.objects.exists()
    complaint = {"kind": "below-certificate", "text": "My own figures are worse."}
    assert client.post(f"/api/purchases/{row.id}/dispute", complaint, JSON).status_code == 201


def test_a_result_counts_once(client: Client, quoted: Quoted, buyer: str) -> None:
    name(client, quoted)
    buy(client, quoted)
    measured(quoted, ABOVE)
    assert measured(quoted, BELOW).below is False
    record_not_measured(quoted.quote.id, code="MODEL_NOT_SUPPORTED", metadata=TEST)
    assert (funds(buyer), Event.objects.filter(type__in=EVENTS).count()) == (9_000, 2)
    assert order_of(quoted.quote.id) is None


def test_where_nothing_can_be_measured_that_is_said(client: Client, quoted: Quoted, buyer: str) -> None:
    name(client, quoted)
    buy(client, quoted)
    record_not_measured(quoted.quote.id, code="MODEL_NOT_SUPPORTED", metadata=TEST)
    seen = client.get(f"/api/acceptances/{quoted.quote.id}").json()
    assert (seen["status"], seen["code"], seen["kept"]) == ("not-measured", "MODEL_NOT_SUPPORTED", None)
    assert (funds(buyer), AcceptanceText.objects.count()) == (9_000, 0)


def test_a_quote_that_nobody_uses_leaves_no_texts_behind(client: Client, quoted: Quoted) -> None:
    name(client, quoted)
    keep_up(at=quoted.quote.expires_at - timedelta(seconds=1), metadata=TEST)
    assert AcceptanceText.objects.count() == 8
    keep_up(at=quoted.quote.expires_at, metadata=TEST)
    assert (Acceptance.objects.get().status, AcceptanceText.objects.count()) == ("lapsed", 0)


def test_what_was_given_back_before_is_not_measured(client: Client, quoted: Quoted) -> None:
    name(client, quoted)
    buy(client, quoted)
    refund_sale(quoted.quote.id, amount=None, reason=RefundReason.GOODWILL, by_curator=False, metadata=TEST)
    keep_up(at=timezone.now(), metadata=TEST)
    assert (Acceptance.objects.get().status, Job.objects.count()) == ("lapsed", 0)


def test_after_some_failed_jobs_it_is_given_up(client: Client, quoted: Quoted) -> None:
    name(client, quoted)
    buy(client, quoted)
    for _ in range(ATTEMPTS + 1):
        keep_up(at=timezone.now(), metadata=TEST)
        for job in Job.objects.filter(state="queued"):
            end_open(job.id, State.FAILED, problem={"detail": "the worker has died"})
    row = Acceptance.objects.get()
    assert (Job.objects.count(), row.status, row.code) == (ATTEMPTS, "not-measured", "MEASUREMENT_FAILED")
    assert not AcceptanceText.objects.exists()


def test_a_seller_hears_of_results_alone(
    client: Client, seller: Client, quoted: Quoted, buyer: str, maker: str
) -> None:
    name(client, quoted)
    assert seller.get(f"/api/acceptances/{quoted.quote.id}").status_code == 404
    buy(client, quoted)
    measured(quoted, ABOVE)
    for viewer, heard in ((buyer, EVENTS[:2]), (maker, EVENTS[1:2]), ("somebody", [])):
        page = read_changes(after=0, types=EVENTS, viewer=frozenset({viewer}))
        assert [each.type for each in page.changes] == heard


def test_strangers_see_nothing(
    client: Client, quoted: Quoted, shop: Callable[[str], Client], agent_of: Callable[[str], str]
) -> None:
    name(client, quoted)
    agent_of("stranger")
    stranger = shop("stranger")
    for address in (f"/api/acceptances/{quoted.quote.id}", "/api/acceptances/%00"):
        assert stranger.get(address).status_code == 404
    assert stranger.get("/api/acceptances").json()["results"] == []
    assert Client().get("/api/acceptances").status_code == 401
    assert refused(name(stranger, quoted)) == (403, "QUOTE_NOT_YOURS")


def test_texts_are_named_once(client: Client, quoted: Quoted) -> None:
    name(client, quoted)
    assert refused(name(client, quoted)) == (409, "ACCEPTANCE_EXISTS")
    assert AcceptanceText.objects.count() == 8


def test_once_delivered_it_is_too_late(client: Client, quoted: Quoted) -> None:
    buy(client, quoted)
    assert refused(name(client, quoted)) == (409, "ACCEPTANCE_TOO_LATE")


def test_who_had_the_file_before_names_no_texts(client: Client, listing: str, quoted: Quoted, buyer: str) -> None:
    buy(client, quoted)
    refund_sale(quoted.quote.id, amount=None, reason=RefundReason.GOODWILL, by_curator=False, metadata=TEST)
    again = quote(Kind.W_MATRIX, listing, delivery=Delivery(), buyer=buyer)
    assert refused(name(client, again)) == (409, "ACCEPTANCE_TOO_LATE")


def test_an_expired_or_altered_quote_is_refused(
    client: Client, quoted: Quoted, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = client.post("/api/acceptances", {"quote": quoted.token[:-1] + "~", "texts": TEXTS}, JSON)
    assert refused(altered) == (422, "QUOTE_INVALID")
    monkeypatch.setattr(timezone, "now", lambda: quoted.quote.expires_at)
    assert refused(name(client, quoted)) == (410, "QUOTE_EXPIRED")


def test_where_the_models_do_not_run_nothing_is_promised(
    client: Client, quoted: Quoted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promises, "installed_models", lambda: [sample.SOURCE])
    answer = name(client, quoted)
    assert refused(answer) == (404, "MODEL_NOT_SUPPORTED")
    assert "gemma-3-270m cannot be run on this server" in answer.json()["detail"]
    assert not Acceptance.objects.exists()


def test_without_a_certificate_nothing_is_promised(client: Client, listing: str, quoted: Quoted) -> None:
    revoke_certificate(listing, version="1.0.0", reason="Its texts were known.", metadata=TEST)
    assert refused(name(client, quoted)) == (410, "CERTIFICATE_REVOKED")


def test_a_certificate_of_no_suite_promises_nothing_of_texts(client: Client, maker: str, buyer: str) -> None:
    vectors = quote(Kind.W_MATRIX, listed(maker, 1100, sample.functional()), delivery=Delivery(), buyer=buyer)
    assert refused(name(client, vectors)) == (422, "ACCEPTANCE_NOT_OFFERED")


def test_what_is_free_is_not_given_back(client: Client, maker: str, buyer: str) -> None:
    free = quote(Kind.W_MATRIX, listed(maker, 0), delivery=Delivery(), buyer=buyer)
    assert refused(name(client, free)) == (409, "NOTHING_CHARGED")


def test_few_wait_at_a_time(client: Client, listing: str, buyer: str) -> None:
    made = [quote(Kind.W_MATRIX, listing, delivery=Delivery(), buyer=buyer) for _ in range(MAX_WAITING + 1)]
    answers = [name(client, each) for each in made]
    assert [each.status_code for each in answers] == [201] * MAX_WAITING + [409]
    assert answers[-1].json()["code"] == "ACCEPTANCES_WAITING"


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        (TEXTS[:7], "texts"),
        ([f"{number} {TEXTS[0]}" for number in range(25)], "texts"),
        ([*TEXTS[:7], TEXTS[0]], "texts"),
        ([*TEXTS[:7], "x" * (CHARACTERS - 1)], "texts.7"),
        ([*TEXTS[:7], "x" * 24_001], "texts.7"),
        ([TEXTS[0] + "\x07", *TEXTS[1:]], "texts.0"),
    ],
)
def test_unfit_texts_are_refused(client: Client, quoted: Quoted, texts: list[str], field: str) -> None:
    answer = name(client, quoted, texts)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert not AcceptanceText.objects.exists()


@pytest.mark.parametrize("length", [0, 512, 2048, "long"])
def test_a_length_without_a_promise_is_refused(client: Client, quoted: Quoted, length: object) -> None:
    answer = name(client, quoted, length=length)
    assert (answer.status_code, answer.json()["field"]) == (422, "length")


def test_a_rebuild_from_the_log_gives_the_same_rows(client: Client, quoted: Quoted) -> None:
    name(client, quoted)
    buy(client, quoted)
    measured(quoted, BELOW)
    assert check(chosen(["project_acceptances", "project_sales", "project_postings"])) == []
