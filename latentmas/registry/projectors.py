"""The only writer of the registry's tables."""

from collections.abc import Sequence

import msgspec

from latentmas.events.projections import projector
from latentmas.events.types import Envelope
from latentmas.registry.aggregate import MODEL, ModelState, evolve
from latentmas.registry.events import (
    ModelActivated,
    ModelDeactivated,
    ModelFactsCorrected,
    ModelPopularityChanged,
    ModelRegistered,
)
from latentmas.registry.facts import spellings
from latentmas.registry.models import ModelSpelling, RegisteredModel

KEY = "name"
COLUMNS = [field.name for field in RegisteredModel._meta.concrete_fields if field.name != KEY]


@projector(
    writes=(RegisteredModel, ModelSpelling),
    handles=(ModelRegistered, ModelFactsCorrected, ModelPopularityChanged, ModelActivated, ModelDeactivated),
)
def project_models(events: Sequence[Envelope]) -> None:
    """Bring the rows of the events' models up to date; events that a row has seen already change nothing."""
    names = sorted({_name(event) for event in events})
    locked = RegisteredModel.objects.select_for_update().filter(name__in=names).order_by(KEY)
    before = {row.name: row for row in locked}
    after: dict[str, RegisteredModel] = {}
    for event in events:
        name = _name(event)
        row = after.get(name) or before.get(name)
        if row is None or event.version > row.version:
            after[name] = _next(name, row, event)
    _write(before, [after[name] for name in sorted(after)])


def _name(event: Envelope) -> str:
    return event.stream.removeprefix(f"{MODEL.prefix}/")


def _next(name: str, row: RegisteredModel | None, event: Envelope) -> RegisteredModel:
    state = evolve(MODEL.empty if row is None else _state(row), event)
    if state.facts is None:
        raise AssertionError(f"the stream {event.stream} does not begin with its registration")
    facts, architecture = state.facts, state.facts.architecture
    licence = facts.licence
    return RegisteredModel(
        name=name,
        family=facts.family,
        open_weights=facts.open_weights,
        hub_id=facts.hub_id,
        aliases=list(facts.aliases),
        licence_name=licence.name if licence else None,
        licence_url=licence.url if licence else None,
        architecture=msgspec.to_builtins(architecture),
        price_tier=facts.price_tier,
        attention_threshold=facts.attention_threshold,
        popularity=state.popularity,
        active=state.active,
        inactive_reason=state.inactive_reason,
        attention_type=architecture.attention_type,
        has_kv_cache=architecture.has_kv_cache,
        kv_width=architecture.kv_width,
        latent_dimension=architecture.latent_dimension,
        search_text="\n".join(spellings(name, facts)),
        curated=sorted(state.curated),
        version=event.version,
        registered_at=event.recorded_at if row is None else row.registered_at,
        updated_at=event.recorded_at,
    )


def _state(row: RegisteredModel) -> ModelState:
    return ModelState(
        facts=row.facts(),
        popularity=row.popularity,
        active=row.active,
        inactive_reason=row.inactive_reason,
        curated=frozenset(row.curated),
    )


def _write(before: dict[str, RegisteredModel], rows: Sequence[RegisteredModel]) -> None:
    if not rows:
        return
    RegisteredModel.objects.bulk_create(rows, update_conflicts=True, unique_fields=[KEY], update_fields=COLUMNS)
    respelled = [row for row in rows if row.name not in before or before[row.name].search_text != row.search_text]
    # All deletions first: within one batch a spelling may move from one model to another.
    if known := [row.name for row in respelled if row.name in before]:
        ModelSpelling.objects.filter(model__in=known).delete()
    ModelSpelling.objects.bulk_create(
        ModelSpelling(spelling=spelling, model=row.name)
        for row in respelled
        for spelling in row.search_text.split("\n")
    )
