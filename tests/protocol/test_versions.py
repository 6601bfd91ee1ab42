import pytest

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.versions import is_compatible, parse_version


@pytest.mark.parametrize(
    ("required", "available", "compatible"),
    [
        ("1.0.0", "1.2.3", True),
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "1.2.2", False),
        ("1.2.3", "1.3.0", True),
        ("1.2.0", "1.1.9", False),
        ("1.0.0", "2.0.0", False),
        ("2.0.0", "1.9.9", False),
    ],
)
def test_a_version_stands_in_for_an_older_one_of_the_same_major(
    required: str, available: str, compatible: bool
) -> None:
    assert is_compatible(parse_version(required), parse_version(available)) is compatible


def test_versions_are_ordered_by_number_not_by_text() -> None:
    assert parse_version("1.10.0") > parse_version("1.9.9")


@pytest.mark.parametrize("text", ["1.0", "1.0.0.0", "1.0.x", "-1.0.0", "1.0.0 ", "\u0661.0.0", "", "1000000000000.0.0"])
def test_it_refuses_what_is_no_version(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"MAJOR\.MINOR\.PATCH"):
        parse_version(text)
