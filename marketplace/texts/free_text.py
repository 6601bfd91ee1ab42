"""What persons write, as events hold it: by its salted digest alone."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class FreeText:
    """A text on its way into an event (`plain`), or in one (`commitment`; `erasable` has the text until it is erased).

    A recorded event that holds `plain` is older than the erasable table; only the factory and curators wrote such.
    """

    plain: str | None = None
    commitment: str | None = None  # sha256:<hex> over salt and text


def texts_in(event: object) -> dict[str, FreeText]:
    """Return the texts of an event, by the names of its fields."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}  # type: ignore[arg-type]  # a dataclass
    return {name: value for name, value in values.items() if isinstance(value, FreeText)}
