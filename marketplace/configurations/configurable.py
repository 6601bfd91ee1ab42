"""Configurations on record: whole numbers that events change, a whole set for each version.

An app declares its set as a frozen dataclass whose defaults are version 0, an event type that holds one, and a
`Configurable` of both. What was decided by a configuration names its version, and that version stays readable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Generic, TypeVar

from latentmas.events import store
from latentmas.events.commands import Aggregate, execute, load
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import InvalidInput, NotFound

C = TypeVar("C")

IDENTIFIER = "config"


@dataclass(frozen=True, slots=True)
class Versioned(Generic[C]):
    """A configuration with its version: 0 before anything was configured."""

    version: int
    configuration: C


def no_rule(configuration: object) -> None:
    """Let every set pass whose settings are within their bounds."""


@dataclass(frozen=True)
class Configurable(Generic[C]):
    """What one app can configure, in the stream `<prefix>/config`.

    `event` has the one field `configuration`. `bounds` are those of each setting, both ends allowed; `rule` is what
    settings must fulfil together, and raises InvalidInput.
    """

    prefix: str
    title: str  # as errors name it: the price configuration
    default: C
    event: type[Any]
    bounds: Mapping[str, tuple[int, int]]
    rule: Callable[[C], None] = no_rule

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings."""
        return tuple(field.name for field in fields(self.default))  # type: ignore[arg-type]  # a dataclass

    @property
    def aggregate(self) -> Aggregate[C]:
        return Aggregate(self.prefix, self.default, self._evolve)

    def configure(
        self, changed: Mapping[str, int], *, metadata: Metadata, expected: int | None = None
    ) -> list[Recorded]:
        """Change settings from now on; the same values again record nothing. Raises InvalidInput or VersionConflict."""
        if unknown := sorted(set(changed) - set(self.settings)):
            raise InvalidInput(
                f"there is no setting {unknown[0]!r}; there are {', '.join(self.settings)}", field=unknown[0]
            )

        def decide(state: C) -> Sequence[object]:
            wanted: C = replace(state, **changed)  # type: ignore[type-var]  # a dataclass
            self._check(wanted)
            return () if wanted == state else (self.event(wanted),)

        return execute(self.aggregate, IDENTIFIER, decide, metadata=metadata, expected=expected)

    def in_force(self) -> Versioned[C]:
        """Return the configuration of what is decided now."""
        configuration, version = load(self.aggregate, IDENTIFIER)
        return Versioned(version, configuration)

    def of_version(self, version: int) -> C:
        """Return the configuration that an earlier decision names. Raises NotFound."""
        if version == 0:
            return self.default
        for recorded in store.read_stream(self.aggregate.stream(IDENTIFIER)):
            if recorded.version == version:
                return self._evolve(self.default, recorded)
        raise NotFound(f"there is no version {version} of {self.title}")

    def values(self) -> dict[str, int]:
        """Return the settings in force by name."""
        return asdict(self.in_force().configuration)  # type: ignore[call-overload, no-any-return]  # a dataclass

    def _evolve(self, state: C, recorded: Recorded) -> C:
        configuration: C = recorded.data.configuration if isinstance(recorded.data, self.event) else state
        return configuration

    def _check(self, configuration: C) -> None:
        for name, (low, high) in self.bounds.items():
            value = getattr(configuration, name)
            if not low <= value <= high:
                raise InvalidInput(f"{name} is {value}; it must be {low} to {high}", field=name)
        self.rule(configuration)
