"""The page about the event store names everything the package offers."""

from pathlib import Path

import pytest

from latentmas.events import errors
from latentmas.protocol.errors import LatentMASError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/events.md").read_text()
COMMANDS = sorted(path.stem for path in (ROOT / "latentmas/events/management/commands").glob("[a-z]*.py"))
ERRORS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, LatentMASError)]

pytestmark = pytest.mark.store


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"manage.py {command}" in PAGE


@pytest.mark.parametrize("error", [each for each in ERRORS if each.__module__ == errors.__name__])
def test_every_error_is_documented_with_its_status(error: type[LatentMASError]) -> None:
    assert f"| `{error.code}` | {error.status} |" in PAGE


@pytest.mark.parametrize("check", ["events.W001", "events.E001"])
def test_every_system_check_is_documented(check: str) -> None:
    assert check in PAGE
