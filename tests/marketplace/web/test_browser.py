"""The pages in a real Chromium, headless: whole stories, by mouse and by keyboard, and how the pages look.

The same without a browser is in the other tests of this folder. Where Chromium and its driver are not installed
(`apt-get install chromium chromium-driver`), these tests are skipped, and say so; in CI that is a failure.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from latentmas import blobs
from latentmas.rest.scopes import MEMORIES_WRITE
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.claims import promises
from marketplace.claims.acceptance_aggregate import Figures
from marketplace.claims.acceptance_commands import record_measurement
from marketplace.claims.acceptance_events import Kept
from marketplace.claims.models import Dispute
from marketplace.listings.models import ListingVersion
from marketplace.sales.models import Sale
from marketplace.uploads import commands as uploads
from marketplace.uploads.models import Upload
from tests.marketplace import sample
from tests.marketplace.artefacts.sample import screen
from tests.marketplace.artefacts.selling import kept
from tests.marketplace.conftest import client_of
from tests.marketplace.evidence import gather
from tests.marketplace.exchange.sample import w_matrix
from tests.marketplace.sales.toys import TEST, funds
from tests.marketplace.web.certified import TEXTS, certified_of
from tests.marketplace.web.chromium import (
    complaints,
    enter,
    faults,
    follow,
    keys,
    press,
    tab_to,
    text_of,
    wait_for,
    wait_for_focus,
)
from tests.marketplace.web.selling import bought, memory_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PASSWORD = "correct horse battery"
SLOW = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 60_000}  # bytes a second
FAST = SLOW | {"uploadThroughput": -1}
# Keeps every figure that the form has shown: the page goes away when the file has arrived.
OBSERVE = """
const figures = document.querySelector("#upload .unit");
const keep = () => {
  const before = sessionStorage.getItem("shown") ?? "";
  sessionStorage.setItem("shown", `${before}${figures.textContent};`);
};
new MutationObserver(keep).observe(figures, { childList: true });
"""
Visit = Callable[..., None]


@pytest.fixture(autouse=True)
def _nothing_is_complained_of(chromium: WebDriver) -> Any:
    yield
    assert complaints(chromium) == []


def test_a_person_logs_in_buys_a_memory_disputes_it_and_is_answered(
    chromium: WebDriver, visit: Visit, live_server: LiveServer, registry: None, seller: str, bea: str
) -> None:
    memory = memory_of("alice")
    buyer = User.objects.get(username="bea")
    buyer.set_password(PASSWORD)
    buyer.save()

    visit("/market")
    follow(chromium, "Minutes")
    follow(chromium, "Log in to buy")
    wait_for_focus(chromium, "[name=username]")
    keys(chromium, "bea", Keys.TAB, PASSWORD, Keys.ENTER)
    press(chromium, "See the price")
    assert chromium.find_element(By.ID, "breakdown-h").is_displayed()
    assert not Sale.objects.exists()
    press(chromium, "Confirm and pay")
    receipt = text_of(chromium, "dl.receipt")
    sale = Sale.objects.get()
    assert chromium.current_url == f"{live_server.url}/my/purchases/{sale.id}"
    assert (sale.item, sale.status) == (memory, "captured")
    assert sale.id in receipt
    assert f"{sale.price / 100:.2f} USD" in receipt
    assert funds(bea) == 10_000 - sale.price

    follow(chromium, "Open a dispute")
    enter(chromium, kind="cannot be used", text="It cannot be read:\nit ends after its header.")
    press(chromium, "Open the dispute")
    wait_for(chromium, "it ends after its header.")
    follow(chromium, "Wallet")
    assert chromium.find_element(By.CSS_SELECTOR, "svg.balance").is_displayed()

    visit("/my/sales", "alice")
    follow(chromium, "in dispute")
    enter(chromium, text="It has nine tokens.")
    press(chromium, "Send the answer")
    wait_for(chromium, "A curator decides now.")
    assert Dispute.objects.get().status == "answered"
    visit(f"/sellers/{seller}")
    assert "Alice" in text_of(chromium, "h1")


def test_a_memory_is_published_by_the_keyboard_alone(
    chromium: WebDriver, visit: Visit, registry: None, seller: str, alice: User
) -> None:
    kept(client_of(alice, MEMORIES_WRITE))
    visit("/my/memories", "alice")
    keys(chromium, Keys.TAB)
    skip = chromium.switch_to.active_element
    assert (skip.text, skip.rect["x"] >= 0) == ("Skip to content", True)
    keys(chromium, Keys.ENTER, Keys.TAB)
    assert chromium.execute_script("return document.querySelector('main').contains(document.activeElement)")

    tab_to(chromium, "a[href*='memory=']")
    keys(chromium, Keys.ENTER)
    wait_for(chromium, "Publish a memory")
    for name, typed in (("title", "Minutes"), ("price", "5.00"), ("canary", "4"), ("rights", "My own words.")):
        tab_to(chromium, f"[name={name}]")
        keys(chromium, typed)
    tab_to(chromium, "[name=invertible]")
    keys(chromium, Keys.SPACE)
    tab_to(chromium, "main button")
    keys(chromium, Keys.ENTER)
    wait_for(chromium, "is being screened")
    row = Artefact.objects.get()
    assert (row.title, row.price_amount) == ("Minutes", 500)
    assert ArtefactVersion.objects.get().canary_size

    screen(row.id)
    visit("/my/memories")
    wait_for(chromium, "has passed")
    follow(chromium, "Withdraw")
    enter(chromium, reason="It is out of date.")
    press(chromium, "Withdraw it for good")
    wait_for(chromium, "Withdrawn: It is out of date.")


def test_a_w_matrix_is_sent_with_progress_stopped_and_goes_on(
    chromium: WebDriver, visit: Visit, registry: None, seller: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    send = uploads.continue_upload

    def noted(upload: Upload, read: Any, *, offset: int, length: int) -> Upload:
        begun.append(offset)
        return send(upload, read, offset=offset, length=length)

    monkeypatch.setattr(uploads, "continue_upload", noted)
    file = tmp_path / "w.safetensors"
    w_matrix().write(data := io.BytesIO())
    file.write_bytes(data.getvalue())

    visit("/my/listings/new", "alice")
    enter(chromium, title="Mine", source_model=sample.SOURCE, target_model=sample.TARGET, price="1999")
    enter(chromium, version="1.0.0", epsilon="0.1", test_samples="1000", file=str(file))
    chromium.execute_script(OBSERVE)
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd("Network.emulateNetworkConditions", SLOW)
    press(chromium, "Publish")
    figures = chromium.find_element(By.CSS_SELECTOR, "#upload .unit")
    WebDriverWait(chromium, 20).until(lambda _: figures.text and not figures.text.startswith("0 %"))
    press(chromium, "Stop")
    wait_for(chromium, "Stopped", "#upload-stage")
    assert not chromium.find_element(By.XPATH, "//button[.='Stop']").is_displayed()
    assert not ListingVersion.objects.exists()

    chromium.execute_cdp_cmd("Network.emulateNetworkConditions", FAST)
    press(chromium, "Publish")
    WebDriverWait(chromium, 20).until(lambda driver: driver.current_url.endswith("/my/listings"))
    wait_for(chromium, "is being scanned")
    assert ListingVersion.objects.get().file_digest == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert f"100 % of {file.stat().st_size / 1e6:.1f} MB" in chromium.execute_script(
        "return sessionStorage.getItem('shown')"
    )
    assert begun[0] == 0 < begun[-1]
    assert not Upload.objects.exists()


def test_texts_are_named_before_a_w_matrix_is_bought(
    chromium: WebDriver, visit: Visit, registry: None, seller: str, bea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promises, "installed_models", lambda: [sample.SOURCE, sample.TARGET])
    listing = certified_of(seller)
    visit(f"/w-matrices/{listing}", "bea")
    press(chromium, "See the price")
    wait_for(chromium, "at least 0.7300")
    found = faults(chromium)
    press(chromium, "Name texts")
    wait_for(chromium, "Or typed here")
    assert found + faults(chromium) == []
    chromium.execute_script("document.querySelector('[name=texts]').value = arguments[0]", "\n---\n".join(TEXTS))
    press(chromium, "Name the texts")
    wait_for(chromium, "The texts are named.")
    press(chromium, "Confirm and pay")
    wait_for(chromium, "Measured on the buyer's texts")
    sale = Sale.objects.get()
    record_measurement(sale.id, Figures(Kept("0.5000", "0.3000", "0.7200"), 8, 504, "arms/test"), metadata=TEST)
    visit(f"/my/purchases/{sale.id}")
    wait_for(chromium, "Below the certificate")
    assert funds(bea) == 10_000


def test_the_browser_verifies_a_certificate_and_finds_another_file(
    chromium: WebDriver, visit: Visit, registry: None, settings: Settings, tmp_path: Path
) -> None:
    gather(settings)
    version = ListingVersion.objects.get()
    visit(f"/w-matrices/{version.listing_id}")
    said = chromium.find_element(By.CSS_SELECTOR, "#proof output")
    press(chromium, "Verify")
    WebDriverWait(chromium, 10).until(lambda _: said.text.startswith("Yes. The file of this version is certified"))
    with blobs.open_blob(version.file_digest) as stored:
        (tmp_path / "mine").write_bytes(stored.read())
    (tmp_path / "other").write_bytes(b"another file")
    for name, answer in (("mine", "Yes. Your file is the one that is certified"), ("other", "file_differs")):
        chromium.find_element(By.ID, "proof-file").send_keys(str(tmp_path / name))
        press(chromium, "Verify")
        WebDriverWait(chromium, 10).until(lambda _, answer=answer: answer in said.text)


def test_every_page_can_be_walked_by_keyboard_and_read_in_both_schemes(
    chromium: WebDriver, visit: Visit, registry: None, seller: str, alice: User, bea: str
) -> None:
    memory, listing = memory_of("alice"), certified_of(seller)
    sale = bought(bea, memory)
    paths = (
        ("bea", "/"),
        ("bea", "/market"),
        ("bea", f"/memories/{memory}"),
        ("bea", f"/buy/memory/{memory}"),
        ("bea", f"/w-matrices/{listing}"),
        ("bea", f"/sellers/{seller}"),
        ("bea", "/my/wallet"),
        ("bea", "/my/purchases"),
        ("bea", f"/my/purchases/{sale}"),
        ("bea", f"/my/purchases/{sale}/dispute"),
        ("alice", "/my/memories"),
        ("alice", "/my/memories/new"),
        ("alice", f"/memories/{memory}/versions/new"),
        ("alice", f"/memories/{memory}/price"),
        ("alice", "/my/listings"),
        ("alice", "/my/listings/new"),
        ("alice", "/my/agents/new"),
    )
    found, before = [], None
    for login, path in paths:
        visit(path, login if login != before else None)
        before = login
        found += [f"{path}: {fault}" for fault in faults(chromium)]
    assert found == []
