"""A purchase in headless Chromium: log in, read a card, see the quote, confirm, see the receipt.

The same walk without a browser is in test_buying_pages.py. Where Chromium and its driver are not installed
(`apt-get install chromium chromium-driver`), these tests are skipped, and say so.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from marketplace.sales.models import Sale
from tests.marketplace.sales.toys import funds
from tests.marketplace.web.selling import memory_of

pytestmark = pytest.mark.django_db(transaction=True)
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PASSWORD = "correct horse battery"
SWITCHES = (
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--window-size=1180,1600",
)


@pytest.fixture
def chromium(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebDriver]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no Chromium with its driver is installed here: the pages ran without a browser only")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, *(["--no-sandbox"] if os.geteuid() == 0 else [])):
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.implicitly_wait(10)
    yield driver
    driver.quit()


def press(driver: WebDriver, words: str) -> None:
    driver.find_element(By.XPATH, f"//button[contains(., '{words}')]").click()


def test_a_person_logs_in_buys_a_memory_and_sees_the_receipt(
    chromium: WebDriver, live_server: LiveServer, registry: None, seller: str, bea: str
) -> None:
    memory = memory_of("alice")
    buyer = User.objects.get(username="bea")
    buyer.set_password(PASSWORD)
    buyer.save()

    chromium.get(f"{live_server.url}/memories/{memory}")
    chromium.find_element(By.LINK_TEXT, "Log in to buy").click()
    chromium.find_element(By.NAME, "username").send_keys("bea")
    chromium.find_element(By.NAME, "password").send_keys(PASSWORD)
    press(chromium, "Log in")
    press(chromium, "See the price")
    assert chromium.find_element(By.ID, "breakdown-h").is_displayed()
    assert not Sale.objects.exists()
    press(chromium, "Confirm and pay")

    receipt = chromium.find_element(By.CSS_SELECTOR, "dl.receipt").text
    sale = Sale.objects.get()
    assert chromium.current_url == f"{live_server.url}/my/purchases/{sale.id}"
    assert sale.id in receipt
    assert f"{sale.price / 100:.2f} USD" in receipt
    assert sale.status == "captured"
    assert funds(bea) == 10_000 - sale.price

    chromium.find_element(By.LINK_TEXT, "Wallet").click()
    assert chromium.find_element(By.CSS_SELECTOR, "svg.balance").is_displayed()
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []
