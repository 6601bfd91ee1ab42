"""compose.yaml as the tests read it: services, with the variables of `.env` filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
VARIABLE = re.compile(r"\$\{(\w+)(?::[?-])?\}")


def document(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the whole file. Raises KeyError for a variable that is not given."""
    text = VARIABLE.sub(lambda found: variables[found[1]], (ROOT / "compose.yaml").read_text())
    return yaml.safe_load(text)  # type: ignore[no-any-return]


def services(variables: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    return document(variables)["services"]  # type: ignore[no-any-return]


def variables() -> set[str]:
    """Return the names of the variables that compose.yaml takes from `.env`."""
    return set(VARIABLE.findall((ROOT / "compose.yaml").read_text()))


def processes() -> dict[str, str]:
    """Return the commands of the Procfile by name."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines if line.strip())}
