"""A headless Chromium, and what the tests do with it: open, press, type, walk by the keyboard, look at colours."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from tests.missing import missing

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WAIT_SECONDS = 10
MOST_STOPS = 150  # of the Tab key on one page
TEXT, LARGE_TEXT, CONTROL = 4.5, 3.0, 3.0  # WCAG 2.2 AA: 1.4.3 and 1.4.11
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1180,1600",
    "--force-prefers-reduced-motion",  # a click must not wait for the page to have scrolled
)
# Whatever can be focused and is shown, in the order of the document.
STOPS = """
const wanted = [...document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
)].filter((each) => !each.disabled && each.checkVisibility({ visibilityProperty: true }));
"""
LISTEN = f"""
{STOPS}
globalThis.walked = [];
document.addEventListener("focusin", ({{ target }}) => {{
  const style = getComputedStyle(target), box = target.getBoundingClientRect();
  const ringed = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  walked.push([wanted.indexOf(target), ringed && box.right > 0 && box.width > 0]);
}});
return wanted.map((each) => `${{each.localName}} ${{each.name ?? ""}} ${{each.textContent.trim().slice(0, 30)}}`);
"""
CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text()


@contextmanager
def running(folder: Path) -> Iterator[WebDriver]:
    """Run a Chromium whose profile is in a folder of its own. Without one the test is skipped, in CI it fails."""
    if CHROMIUM is None or DRIVER is None:
        missing("Chromium with its driver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={folder}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER, env=os.environ | {"NO_PROXY": "localhost"}))
    try:
        driver.implicitly_wait(WAIT_SECONDS)
        # Else :focus matches only where no other window has the focus.
        driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        yield driver
    finally:
        driver.quit()


def press(driver: WebDriver, words: str) -> None:
    driver.find_element(By.XPATH, f"//main//button[contains(., '{words}')]").click()


def follow(driver: WebDriver, words: str) -> None:
    driver.find_element(By.PARTIAL_LINK_TEXT, words).click()


def enter(driver: WebDriver, **typed: str) -> None:
    """Type into the fields of the page, by their names."""
    for name, text in typed.items():
        field = driver.find_element(By.CSS_SELECTOR, f"main [name={name}]")
        if field.tag_name == "select":
            field.find_element(By.XPATH, f"./option[contains(., '{text}')]").click()
        elif field.get_attribute("type") == "checkbox":
            field.click()
        else:
            if field.get_attribute("type") != "file":
                field.clear()
            field.send_keys(text)


def wait_for(driver: WebDriver, words: str, selector: str = "main") -> None:
    """Wait until the page, or a part of it, shows the words: a click returns before the next page is there."""
    patience = WebDriverWait(driver, WAIT_SECONDS * 2, ignored_exceptions=(StaleElementReferenceException,))
    patience.until(lambda _: words in text_of(driver, selector), f"the page does not show {words!r}")


def wait_for_focus(driver: WebDriver, selector: str) -> None:
    """Wait until the focus is at what the selector names."""
    at = "return document.activeElement.matches(arguments[0])"
    WebDriverWait(driver, WAIT_SECONDS * 2).until(lambda _: driver.execute_script(at, selector))


def text_of(driver: WebDriver, selector: str = "main") -> str:
    return driver.find_element(By.CSS_SELECTOR, selector).text


def keys(driver: WebDriver, *pressed: str) -> None:
    """Press keys where the focus is."""
    ActionChains(driver, duration=0).send_keys(*pressed).perform()


def tab_to(driver: WebDriver, selector: str) -> None:
    """Press Tab until the focus is at what the selector names."""
    for _ in range(MOST_STOPS):
        keys(driver, Keys.TAB)
        if driver.execute_script("return document.activeElement.matches(arguments[0])", selector):
            return
    raise AssertionError(f"the Tab key does not lead to {selector}")


def walked(driver: WebDriver) -> list[str]:
    """Walk through the page by Tab; return what it passes over, reaches out of order, or does not show as focused."""
    wanted: list[str] = driver.execute_script(LISTEN)
    keys(driver, *[Keys.TAB] * (len(wanted) + 5))  # scrolling regions are stops, too
    every: list[tuple[int, bool]] = driver.execute_script("return walked")
    stops = [(index, shown) for index, shown in every if index >= 0][: len(wanted)]  # then it begins again
    reached = [index for index, _ in stops]
    hidden = [f"not shown as focused: {wanted[index]}" for index, shown in stops if not shown]
    if reached == list(range(len(wanted))):
        return hidden
    return [*hidden, f"reached {[wanted[index] for index in reached]} of {wanted}"]


def too_faint(driver: WebDriver, scheme: str) -> list[str]:
    """Return the texts and the edges of controls that stand out too little from their ground in a colour scheme."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    found: list[dict[str, Any]] = driver.execute_script(CONTRASTS)
    least = {"text": TEXT, "large": LARGE_TEXT, "control": CONTROL}
    faint = [each for each in found if each["ratio"] < least[each["kind"]]]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert found, "the page has no text"
    return [f"{scheme}: {each['ratio']:.2f} {each['kind']} {each['what']}" for each in faint]


def faults(driver: WebDriver) -> list[str]:
    """Return what is wrong with the page for who walks by keyboard, or sees little, in either colour scheme."""
    return walked(driver) + too_faint(driver, "light") + too_faint(driver, "dark")


def complaints(driver: WebDriver) -> list[str]:
    """Return what the browser has complained of since it was asked last; a refused policy is among it."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
