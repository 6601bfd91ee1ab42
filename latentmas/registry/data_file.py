"""The registry's own data file: what is known about each model, and the rule by which it is loaded.

A curator's decision takes precedence: a fact that somebody other than the loader set last is kept and reported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from latentmas.events.transactions import transact
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, LatentMASError
from latentmas.registry import commands
from latentmas.registry.aggregate import ACTIVE, LOADER, POPULARITY
from latentmas.registry.facts import ModelFacts, check_name, parse_facts
from latentmas.registry.models import RegisteredModel

DEFAULT_FILE = Path(__file__).parent / "data" / "models.json"
REASON = "registry data file"
BESIDE_FACTS = frozenset({"name", POPULARITY, ACTIVE})


@dataclass(frozen=True, slots=True)
class Document:
    models: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One model as the file describes it."""

    name: str
    facts: ModelFacts
    popularity: int | None
    active: bool


@dataclass(slots=True)
class Loaded:
    """What a load did, by model name; `kept` lists the facts a curator decided differently."""

    registered: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    kept: dict[str, list[str]] = field(default_factory=dict)


def read_entries(path: Path = DEFAULT_FILE) -> list[Entry]:
    """Return the models of a data file. Raises InvalidInput, naming the model that is wrong."""
    try:
        document = msgspec.json.decode(path.read_bytes(), type=Document)
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidInput(f"{path} is not a registry data file: {error}") from error
    entries = [_entry(row) for row in document.models]
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"{path} describes {twice[0]!r} twice")
    return entries


def load(entries: Sequence[Entry]) -> Loaded:
    """Update the registry to the entries, all in one transaction; reads every model in one query.

    Raises what the commands raise; then nothing was recorded.
    """
    return transact(lambda: _load(entries, Metadata(actor=LOADER)))


def _load(entries: Sequence[Entry], metadata: Metadata) -> Loaded:
    loaded = Loaded()
    rows = {row.name: row for row in RegisteredModel.objects.all()}
    for entry in entries:
        row = rows.get(entry.name)
        if row is None:
            _register(entry, metadata)
            loaded.registered.append(entry.name)
            continue
        wanted = _wanted(row, entry, loaded)
        (loaded.corrected if wanted else loaded.unchanged).append(entry.name)
        _correct(row, wanted, metadata)
    return loaded


def _entry(row: Mapping[str, Any]) -> Entry:
    name = str(row.get("name"))
    try:
        check_name(name)
        facts = parse_facts({key: value for key, value in row.items() if key not in BESIDE_FACTS})
        return Entry(name, facts, *_standing(row))
    except LatentMASError as error:
        raise InvalidInput(f"the model {name!r} cannot be loaded: {error.message}") from error


def _standing(row: Mapping[str, Any]) -> tuple[int | None, bool]:
    """Return popularity and active flag, which are no facts of the model itself. Raises InvalidInput."""
    try:
        return msgspec.convert((row.get(POPULARITY), row.get(ACTIVE, True)), tuple[int | None, bool])
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{POPULARITY} or {ACTIVE} is malformed: {error}") from error


def _register(entry: Entry, metadata: Metadata) -> None:
    commands.register_model(name=entry.name, facts=entry.facts, popularity=entry.popularity, metadata=metadata)
    if not entry.active:
        commands.deactivate_model(name=entry.name, reason=REASON, metadata=metadata)


def _wanted(row: RegisteredModel, entry: Entry, loaded: Loaded) -> dict[str, Any]:
    """Return the differing values that no curator decided; the names of the others are added to `loaded.kept`."""
    changes = {change.fact: change.new for change in commands.differences(row.facts(), entry.facts)}
    if entry.popularity != row.popularity:
        changes[POPULARITY] = entry.popularity
    if entry.active != row.active:
        changes[ACTIVE] = entry.active
    if kept := sorted(set(changes) & set(row.curated)):
        loaded.kept[entry.name] = kept
    return {fact: value for fact, value in changes.items() if fact not in row.curated}


def _correct(row: RegisteredModel, wanted: dict[str, Any], metadata: Metadata) -> None:
    """Apply the changes, expecting the version that was read: a curator may change the model at the same moment."""
    seen = row.version
    if POPULARITY in wanted:
        popularity = wanted.pop(POPULARITY)
        seen += len(
            commands.change_popularity(
                name=row.name, popularity=popularity, reason=REASON, metadata=metadata, expected=seen
            )
        )
    if ACTIVE in wanted:
        switch = commands.activate_model if wanted.pop(ACTIVE) else commands.deactivate_model
        seen += len(switch(name=row.name, reason=REASON, metadata=metadata, expected=seen))
    if wanted:
        commands.correct_facts(name=row.name, changes=wanted, reason=REASON, metadata=metadata, expected=seen)
