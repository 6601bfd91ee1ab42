"""Extras are told apart by packages that they really bring."""

import re
import tomllib
from pathlib import Path

import pytest

from latentmas import extras

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {
    "eth_account": "eth-account",
    "rest_framework": "djangorestframework",
    "prometheus_client": "prometheus-client",
}


@pytest.mark.parametrize("extra", sorted(extras.PACKAGES))
def test_an_extra_brings_the_packages_that_it_is_known_by(extra):
    brought = {re.split(r"[\[<>=]", each)[0] for each in PROJECT["optional-dependencies"][extra]}
    assert {DISTRIBUTIONS.get(name, name) for name in extras.PACKAGES[extra]} <= brought
    assert extras.absent(extra) == []  # `make setup` installs all of them


def test_the_bare_package_brings_the_clients_three():
    assert sorted(PROJECT["dependencies"]) == ["httpx", "msgspec", "numpy"]


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(extras.PACKAGES, "engine", ("json", "no_such_package", "another_one"))
    said = str(extras.MissingExtra("engine", "this"))
    assert said == (
        "this needs the engine: pip install 'latentmas[engine]' (no_such_package, another_one not installed)"
    )
