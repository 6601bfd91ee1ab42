from pathlib import Path

import pytest

from factory.corpora.packages import descriptions, docstrings, headers, licences, messages, modules
from latentmas.protocol.errors import InvalidInput

LONG = "A sentence of the documentation. " * 40
MODULE = f'''# Copyright somebody
# all rights reserved

"""{LONG}"""


class Thing:
    """Short."""

    def method(self):
        """First.

        {LONG}
        """

        def inner():
            """{LONG}"""
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of an importable package that fails where it is imported."""
    root = tmp_path / "some_package"
    for folder in ("", "deep", "tests", "migrations"):
        (root / folder).mkdir()
        (root / folder / "__init__.py").write_text("raise RuntimeError\n")
        (root / folder / "module.py").write_text(MODULE)
    (root / "small.py").write_text("x = 1\n")
    for name in ("test_module.py", "_version.py", "conftest.py"):
        (root / name).write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "some_package"


def test_modules_are_read_without_being_imported(package: str) -> None:
    found = list(modules([package]))
    assert [each.place for each in found] == [f"{package}/deep/module.py", f"{package}/module.py"]


def test_the_licence_in_front_of_a_module_is_left_out(package: str) -> None:
    assert next(modules([package])).text.startswith('"""A sentence')


def test_a_folder_of_a_package_can_be_named(package: str) -> None:
    assert [each.place for each in modules([f"{package}/deep"])] == [f"{package}/deep/module.py"]


def test_headers_are_read_without_the_condition_that_all_of_them_end_with(package: str, tmp_path: Path) -> None:
    inside = "#pragma once\n" + "int count();\n" * 200
    wrapped = (
        f'#if !defined(TORCH_STABLE_ONLY)\n{inside}#else\n#error "This file should not be included."\n#endif  // a\n'
    )
    (tmp_path / package / "count.h").write_text(wrapped)
    assert [each.text for each in headers([package])] == [inside]


def test_long_docstrings_are_cleaned_and_named_after_what_they_document(package: str) -> None:
    found = {each.place: each.text for each in docstrings([f"{package}/deep"])}
    assert set(found) == {f"{package}/deep/module.py", f"{package}/deep/module.py: Thing.method"}
    assert found[f"{package}/deep/module.py: Thing.method"].startswith("First.\n\nA sentence")


@pytest.mark.parametrize("read", [modules, headers, docstrings, descriptions, licences])
def test_it_says_what_to_install_where_a_package_is_missing(read: object) -> None:
    with pytest.raises(
        InvalidInput, match="the package absent_package, whose text is used, is not installed"
    ) as raised:
        list(read(["absent_package"]))  # type: ignore[operator]
    assert "`server`, `models` and `dev`" in str(raised.value.advice)


def test_descriptions_and_licences_are_those_of_distributions() -> None:
    (description,) = descriptions(["pytest"])
    assert "pytest" in description.text
    assert not description.text.startswith("Metadata-Version")
    (licence,) = licences(["pytest"])
    assert "Permission is hereby granted" in licence.text


def test_djangos_messages_are_read_in_a_language() -> None:
    lines = messages("it").split("\n")
    assert "Questo campo è obbligatorio." in lines


def test_a_language_without_messages_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no messages in the language xx"):
        messages("xx")
