"""Alice in a browser, and Bea, who buys."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.live_server_helper import LiveServer
from selenium.webdriver.remote.webdriver import WebDriver

from marketplace.agents.commands import Profile, register_agent
from tests.marketplace import sample
from tests.marketplace.sales.toys import pay_in
from tests.marketplace.web import chromium as browsers
from tests.marketplace.web.selling import memory_of


def browsing(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def browser(alice: User) -> Client:
    return browsing(alice)


@pytest.fixture
def bea(db: None) -> str:
    """An agent of Bea's, with 100.00 USD."""
    user = User.objects.create_user("bea")
    agent = register_agent(user, Profile("bea-buys", "Bea"), metadata=sample.METADATA).id
    pay_in(agent, 10_000)
    return agent


@pytest.fixture
def buying(bea: str) -> Client:
    """Bea in a browser."""
    return browsing(User.objects.get(username="bea"))


@pytest.fixture
def stranger(db: None) -> Client:
    """Somebody else in a browser, with an agent."""
    user = User.objects.create_user("mallory")
    register_agent(user, Profile("mallory-x", "Mallory"), metadata=sample.METADATA)
    return browsing(user)


@pytest.fixture
def memory(registry: None, seller: str) -> str:
    """A memory that Alice sells."""
    return memory_of("alice")


@pytest.fixture(scope="session")
def running_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with browsers.running(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def chromium(running_chromium: WebDriver) -> WebDriver:
    """A real browser in which nobody is logged in; it starts once for all tests."""
    running_chromium.delete_all_cookies()
    running_chromium.get_log("browser")
    return running_chromium


@pytest.fixture
def visit(chromium: WebDriver, live_server: LiveServer) -> Callable[..., None]:
    """Opens a page of this site in the real browser, as the login that is named or as who was there before."""

    def opened(path: str, login: str | None = None) -> None:
        if login is not None:
            session = browsing(User.objects.get(username=login)).cookies[settings.SESSION_COOKIE_NAME].value
            chromium.get(f"{live_server.url}/log-in")
            chromium.add_cookie({"name": settings.SESSION_COOKIE_NAME, "value": session})
        chromium.get(f"{live_server.url}{path}")

    return opened
