"""A W-Matrix is bought and measured on texts of its buyer's, by two tiny models that really run."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from factory.certifying import acceptance_jobs
from latentmas.events.models import Event
from latentmas.jobs.models import Job
from latentmas.protocol.money import Money
from latentmas.protocol.w_matrix import WMatrix
from marketplace.agents.commands import Profile, register_agent
from marketplace.claims import promises
from marketplace.claims.acceptance_commands import request_acceptance
from marketplace.claims.measuring import keep_up
from marketplace.claims.models import Acceptance, AcceptanceText
from marketplace.listings.commands import certify_version, measure_version
from marketplace.listings.lifecycle.commands import change_price
from marketplace.listings.models import ListingVersion
from marketplace.sales.commands import Buyer
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.models import Sale
from marketplace.sales.purchasing import buy
from marketplace.sales.quotes import quote
from tests.factory.certifying.conftest import LENGTH, PASSAGES, SOURCE, TARGET, Publish
from tests.factory.certifying.test_jobs import with_arrays
from tests.marketplace import sample
from tests.marketplace.sales.toys import TEST, funds, pay_in
from tests.work import work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("certifier")]
PRICE = Money(1000, "USD")


@pytest.fixture(autouse=True)
def _both_models_run(certifier: None, new_session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "installed_models", lambda: [SOURCE, TARGET])
    monkeypatch.setattr(acceptance_jobs, "default_session", new_session)


@pytest.fixture
def buyer(db: None) -> str:
    agent = register_agent(User.objects.create_user("buyer"), Profile("buyer-agent", "Buyer"), metadata=TEST).id
    pay_in(agent, 10_000)
    return agent


@pytest.fixture
def on_sale(publish: Publish) -> Callable[[WMatrix, float], str]:
    """Lists a file for 10.00 USD whose certificate, which a test writes, promises so much."""

    def put(w_matrix: WMatrix, promised: float) -> str:
        listing_id = publish(w_matrix)
        version = ListingVersion.objects.get()
        figures = sample.with_suite(sample.suite(sample.cell("words", LENGTH, promised + 0.02)))
        told = replace(sample.published(), version=version.version)
        measurement = replace(
            sample.measured(told, figures),
            file=version.file_digest,
            source_weights=version.source_weights,
            target_weights=version.target_weights,
        )
        measure_version(listing_id, measured=measurement)
        certify_version(listing_id, version="1.0.0", at=timezone.now(), metadata=TEST)
        change_price(listing_id, price=PRICE, by=sample.CURATOR)
        return listing_id

    return put


@pytest.fixture(scope="module")
def made() -> dict[str, WMatrix]:
    """The files that tests have fitted, which takes a while."""
    return {}


@pytest.fixture
def file(made: dict[str, WMatrix], request: pytest.FixtureRequest) -> WMatrix:
    """The honest file with bounds that hold for texts it was not fitted on: eight tiny ones gave too narrow ones."""
    if "honest" not in made:
        fitted: WMatrix = request.getfixturevalue("honest")
        bounds = fitted.document.distribution
        assert bounds is not None
        made["honest"] = WMatrix(replace(fitted.document, distribution=replace(bounds, high=10.0)), fitted.arrays)
    return made["honest"]


def spoilt(w_matrix: WMatrix) -> WMatrix:
    """A file that says the opposite of everything that it has learnt."""
    names = ("decoder", "correction_decoder")
    return with_arrays(w_matrix, **{name: -w_matrix.arrays[name] for name in names if name in w_matrix.arrays})


@pytest.fixture
def own_texts(texts) -> list[str]:
    """Ten texts that nobody fitted on."""
    return [each.text for each in texts.documents if each.split.value == "held-out"][PASSAGES : PASSAGES + 10]


def accepted(listing_id: str, buyer: str, texts: list[str]) -> Acceptance:
    """Name texts, buy, let the worker measure, and return what became of it."""
    made = quote(Kind.W_MATRIX, listing_id, delivery=Delivery(), buyer=buyer)
    request_acceptance(made.quote, texts, buyer=buyer, at=timezone.now(), metadata=TEST)
    buy(made.token, buyer=Buyer(buyer), metadata=TEST)
    keep_up(at=timezone.now(), metadata=TEST)
    list(work())
    job = Job.objects.get(kind="acceptance.measure")
    assert job.state == "done", job.problem
    return Acceptance.objects.get()


def test_a_file_that_keeps_what_was_promised_is_paid_for(on_sale, file, buyer, own_texts) -> None:
    row = accepted(on_sale(file, 0.6), buyer, own_texts)
    assert (row.status, row.code) == ("measured", None)
    assert row.counted == len(own_texts)
    assert row.promise == {"mode": "tokens-known", "length": LENGTH, "low": "0.6000"}
    assert float(row.kept["low"]) <= float(row.kept["value"]) <= float(row.kept["high"])
    assert (row.below, row.refunded, funds(buyer)) == (False, 0, 9_000)
    assert not AcceptanceText.objects.exists()


def test_a_file_that_contradicts_its_certificate_is_given_back(on_sale, file, buyer, own_texts) -> None:
    row = accepted(on_sale(spoilt(file), 0.6), buyer, own_texts)
    assert (row.status, row.below, row.refunded) == ("measured", True, 1000), row.kept
    assert float(row.kept["high"]) < 0.6
    assert (funds(buyer), Sale.objects.get().status) == (10_000, "refunded")
    refunded = Event.objects.get(type="sale.refunded").payload
    assert (refunded["reason"], refunded["amount"]) == ("below-certificate", 1000)


def test_one_text_under_several_names_does_not_count_as_several(on_sale, file, buyer, own_texts) -> None:
    copies = [f"{own_texts[0]} word{number}" for number in range(8)]
    row = accepted(on_sale(spoilt(file), 0.6), buyer, copies)
    assert (row.status, row.code, funds(buyer)) == ("not-measured", "ACCEPTANCE_TEXTS_TOO_FEW", 9_000)
    assert not AcceptanceText.objects.exists()


def test_texts_of_another_kind_than_the_calibrated_do_not_count(on_sale, file, buyer) -> None:
    noise = [" ".join(f"nothing{number + place}" for place in range(200)) for number in range(0, 8_000, 1_000)]
    row = accepted(on_sale(spoilt(file), 0.6), buyer, noise)
    assert (row.status, row.code, funds(buyer)) == ("not-measured", "ACCEPTANCE_TEXTS_TOO_FEW", 9_000)


def test_weights_that_do_not_run_here_promise_nothing(on_sale, file, buyer, own_texts) -> None:
    other = WMatrix(replace(file.document, target_weights="sha256:" + "9" * 64), file.arrays)
    row = accepted(on_sale(other, 0.6), buyer, own_texts)
    assert (row.status, row.code, funds(buyer)) == ("not-measured", "MODEL_NOT_SUPPORTED", 9_000)
