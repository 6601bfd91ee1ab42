"""Change the price configuration, and read the one in force or an earlier one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from latentmas.events import store
from latentmas.events.commands import Aggregate, execute, load
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import InvalidInput, NotFound
from marketplace.pricing.configuration import SETTINGS, Configuration, check_configuration
from marketplace.pricing.events import PricingConfigured

IDENTIFIER = "config"


@dataclass(frozen=True, slots=True)
class Versioned:
    """A configuration with its version: 0 is the specification's, before anything was configured."""

    version: int
    configuration: Configuration


def evolve(state: Configuration, recorded: Recorded) -> Configuration:
    return recorded.data.configuration if isinstance(recorded.data, PricingConfigured) else state


PRICING = Aggregate("pricing", Configuration(), evolve)


def configure(changed: Mapping[str, int], *, metadata: Metadata, expected: int | None = None) -> list[Recorded]:
    """Change settings of later quotes; the same values again record nothing. Raises InvalidInput or VersionConflict."""
    if unknown := sorted(set(changed) - set(SETTINGS)):
        raise InvalidInput(f"there is no setting {unknown[0]!r}; there are {', '.join(SETTINGS)}", field=unknown[0])

    def decide(state: Configuration) -> Sequence[object]:
        wanted = replace(state, **changed)
        check_configuration(wanted)
        return () if wanted == state else (PricingConfigured(wanted),)

    return execute(PRICING, IDENTIFIER, decide, metadata=metadata, expected=expected)


def in_force() -> Versioned:
    """Return the configuration of quotes that are made now."""
    configuration, version = load(PRICING, IDENTIFIER)
    return Versioned(version, configuration)


def of_version(version: int) -> Configuration:
    """Return the configuration that a quote names. Raises NotFound."""
    state = PRICING.empty
    if version == 0:
        return state
    for recorded in store.read_stream(PRICING.stream(IDENTIFIER)):
        state = PRICING.evolve(state, recorded)
        if recorded.version == version:
            return state
    raise NotFound(f"there is no version {version} of the price configuration")
