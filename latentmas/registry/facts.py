"""The facts the registry keeps about a model: their checks, their flat form, and the price tier by size."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec

from latentmas.protocol.architecture import ModelArchitecture, check_choice
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import InvalidInput

PriceTier = Literal["compact", "standard", "large"]
PRICE_TIERS: tuple[str, ...] = get_args(PriceTier)
COMPACT_BELOW = 10e9  # parameters used per token
STANDARD_BELOW = 50e9
DEFAULT_ATTENTION_THRESHOLD = 0.90  # where the specification's adapter table names none

NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*", re.ASCII)
SPELLING = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/:-]*[A-Za-z0-9])?", re.ASCII)
MAX_NAME = 100
MAX_TEXT = 200
ARCHITECTURE = "architecture."


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms of a model's weights, as their publisher calls them."""

    name: str
    url: str | None = None

    def __post_init__(self) -> None:
        check_text("licence.name", self.name)
        if self.url is not None and (urlsplit(self.url).scheme not in ("http", "https") or len(self.url) > MAX_TEXT):
            raise InvalidInput(f"{self.url!r} is not a web address", field="licence.url")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a curator can correct about a model. Raises InvalidInput naming the fact that cannot be right."""

    family: str
    open_weights: bool
    hub_id: str | None = None
    aliases: tuple[str, ...] = ()
    licence: Licence | None = None  # None: closed, or not confirmed
    architecture: ModelArchitecture = field(default_factory=ModelArchitecture)
    price_tier: PriceTier | None = None
    attention_threshold: float = DEFAULT_ATTENTION_THRESHOLD

    def __post_init__(self) -> None:
        check_text("family", self.family)
        if self.hub_id is not None:
            check_spelling("hub_id", self.hub_id)
        for alias in self.aliases:
            check_spelling("aliases", alias)
        if len(set(map(str.lower, self.aliases))) != len(self.aliases):
            raise InvalidInput("an alias is given twice", field="aliases")
        check_choice("price_tier", self.price_tier, PRICE_TIERS)
        if not 0 < self.attention_threshold <= 1:
            raise InvalidInput(
                f"attention_threshold is {self.attention_threshold}; it must lie above 0 and not above 1",
                field="attention_threshold",
            )


NAMES = frozenset(
    {item.name for item in fields(ModelFacts) if item.name != "architecture"}
    | {ARCHITECTURE + item.name for item in fields(ModelArchitecture)}
)


def flatten(facts: ModelFacts) -> dict[str, Any]:
    """Return every fact by name (`architecture.hidden_size` for one of the architecture) as canonical plain data."""
    document: Any = plain(facts)
    architecture: dict[str, Any] = document.pop("architecture")
    return {**document, **{ARCHITECTURE + name: value for name, value in architecture.items()}}


def unflatten(values: Mapping[str, object]) -> ModelFacts:
    """Return the facts that `flatten` took apart. Raises InvalidInput for an unknown name or a malformed value."""
    if strangers := sorted(set(values) - NAMES):
        raise InvalidInput(f"{strangers[0]!r} is no fact of a model", field=strangers[0])
    document: dict[str, Any] = {name: value for name, value in values.items() if not name.startswith(ARCHITECTURE)}
    document["architecture"] = {
        name.removeprefix(ARCHITECTURE): value for name, value in values.items() if name.startswith(ARCHITECTURE)
    }
    return parse_facts(document)


def parse_facts(document: object) -> ModelFacts:
    """Return the facts that a JSON object describes. Raises InvalidInput, also for unknown keys."""
    try:
        # Not strict: canonical data carries decimals as text.
        facts = msgspec.convert(document, ModelFacts, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the facts are malformed: {error}", field=_field_of(str(error))) from error
    if stranger := _stranger(document, msgspec.to_builtins(facts)):
        raise InvalidInput(f"{stranger!r} is no fact of a model", field=stranger)
    return facts


def with_changes(facts: ModelFacts, changes: Mapping[str, object]) -> ModelFacts:
    """Return the facts with some replaced, each named as by `flatten`. Raises InvalidInput."""
    return unflatten(flatten(facts) | {name: plain(value) for name, value in changes.items()})


def spellings(name: str, facts: ModelFacts) -> tuple[str, ...]:
    """Return every spelling under which the model is found, in lower case: its name, hub id and aliases."""
    given = [name, *([facts.hub_id] if facts.hub_id else []), *facts.aliases]
    return tuple(dict.fromkeys(spelling.lower() for spelling in given))


def tier_by_size(architecture: ModelArchitecture) -> PriceTier | None:
    """Return the tier that published widths give, None where they are not published.

    12 x layers x hidden size squared approximates the parameters a token passes through, of a mixture of experts too.
    """
    if architecture.num_layers is None or architecture.hidden_size is None:
        return None
    parameters = 12 * architecture.num_layers * architecture.hidden_size**2
    if parameters < COMPACT_BELOW:
        return "compact"
    return "standard" if parameters < STANDARD_BELOW else "large"


def check_name(name: str) -> None:
    """Raise InvalidInput for what cannot be a model's name."""
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise InvalidInput(
            f"{name!r} is not a model name; use lower-case letters and digits, joined by single dots or dashes",
            field="name",
        )


def check_spelling(fact: str, text: str) -> None:
    """Raise InvalidInput for what cannot be an alias or a hub id."""
    if not SPELLING.fullmatch(text) or len(text) > MAX_NAME:
        raise InvalidInput(f"{text!r} is not a spelling; use letters, digits and . _ / : -", field=fact)


def check_text(fact: str, text: str) -> None:
    """Raise InvalidInput for text that is blank or too long."""
    if not text.strip() or len(text) > MAX_TEXT:
        raise InvalidInput(f"{fact} must have 1 to {MAX_TEXT} characters", field=fact)


def _field_of(message: str) -> str:
    """Return the dotted path at the end of a msgspec message: "... - at `$.architecture.hidden_size`"."""
    match = re.search(r"at `\$\.?([\w.]*)", message)
    return match[1] if match and match[1] else "facts"


def _stranger(given: object, understood: object, path: str = "") -> str | None:
    """Return the path of the first unknown key, which the conversion has dropped; None for none."""
    if not isinstance(given, dict) or not isinstance(understood, dict):
        return None
    for key, value in given.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in understood:
            return where
        if stranger := _stranger(value, understood[key], where):
            return stranger
    return None
