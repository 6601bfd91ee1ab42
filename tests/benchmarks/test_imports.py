"""Every benchmark can be imported: most take minutes to run, and would rot unseen."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentmas.events import projections

FOLDER = Path(__file__).parents[2] / "benchmarks"
ELSEWHERE = {"benchmarks.compression.press_scores"}  # run by an interpreter that has kvpress


def modules() -> set[str]:
    paths = (path.relative_to(FOLDER.parent).with_suffix("") for path in FOLDER.rglob("*.py"))
    return {".".join(path.parts) for path in paths if path.name != "__init__"} - ELSEWHERE


@pytest.fixture(autouse=True)
def _no_projectors_left() -> Iterator[None]:
    """Take a benchmark's own projectors back: its tables are not in the tests' database."""
    yield
    for name in [name for name in projections._PROJECTORS if name.startswith("benchmarks.")]:
        del projections._PROJECTORS[name]


@pytest.mark.parametrize("name", sorted(modules()))
def test_it_can_be_imported(name: str) -> None:
    importlib.import_module(name)


def test_the_enumeration_finds_modules_and_packages() -> None:
    assert {"benchmarks.walks", "benchmarks.compression.__main__", "benchmarks.compression.run"} <= modules()
