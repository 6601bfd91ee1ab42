"""Reads of the model registry."""

import difflib
from typing import Literal

from django.db.models import Q, QuerySet

from latentmas.protocol.architecture import ModelArchitecture
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.registry.facts import MAX_NAME, SPELLING
from latentmas.registry.models import ModelSpelling, RegisteredModel

Exchange = Literal["kv-cache", "vector"]
ROLES = ("source", "target")


def get_model(spelling: str, *, require_active: bool = False) -> RegisteredModel:
    """Return a model by its name, hub id or an alias, in upper or lower case.

    Raises ModelNotSupported, with the nearest spelling where one is near; `require_active` refuses deactivated models.
    """
    model = RegisteredModel.objects.filter(name__in=_names(spelling)).first()
    if model is None:
        raise _unknown(spelling)
    if require_active and not model.active:
        raise ModelNotSupported(f"the model {model.name!r} is deactivated: {model.inactive_reason}", model=model.name)
    return model


def name_of_model(spelling: str) -> str:
    """Return the registry's name of a model, as `get_model` finds it. Raises ModelNotSupported."""
    name = _names(spelling).first()
    if name is None:
        raise _unknown(spelling)
    return name


def get_architecture(spelling: str) -> ModelArchitecture:
    """Return a model's architecture as a value. Raises ModelNotSupported."""
    return get_model(spelling).shape


def list_models(
    *,
    family: str | None = None,
    open_weights: bool | None = None,
    active: bool | None = None,
    role: str | None = None,
    search: str | None = None,
) -> QuerySet[RegisteredModel]:
    """Return the models that fit every given filter, by name. Raises InvalidInput for an unknown role."""
    models = RegisteredModel.objects.order_by("name")
    if family is not None:
        models = models.filter(family__iexact=family)
    if open_weights is not None:
        models = models.filter(open_weights=open_weights)
    if active is not None:
        models = models.filter(active=active)
    if role is not None:
        models = models.filter(_role(role))
    if search:
        models = models.filter(Q(search_text__contains=search.lower()) | Q(family__icontains=search))
    return models


def compatible(model: RegisteredModel) -> QuerySet[RegisteredModel]:
    """Return the active models that a W-Matrix can lead to from this one, by name.

    Every pair with known widths can be aligned; whether a W-Matrix exists for it, and its quality, is known to the
    marketplace only.
    """
    return list_models(role="target").exclude(name=model.name)


def exchange_between(source: RegisteredModel, target: RegisteredModel) -> Exchange:
    """Return what two models can hand over: their KV-cache where both have one, hidden vectors otherwise."""
    return "kv-cache" if source.has_kv_cache and target.has_kv_cache else "vector"


def families() -> list[str]:
    """Return every family in the registry, by name."""
    return list(RegisteredModel.objects.order_by("family").values_list("family", flat=True).distinct())


def _names(spelling: str) -> "QuerySet[ModelSpelling, str]":
    """Return the one name that a spelling leads to, or none."""
    wanted = spelling.strip().lower()
    # PostgreSQL refuses to compare with a NUL character, and no spelling holds one.
    known = ModelSpelling.objects.filter(spelling=wanted).values_list("model", flat=True)
    return known if SPELLING.fullmatch(wanted) else known.none()


def _role(role: str) -> Q:
    if role not in ROLES:
        raise InvalidInput(f"{role!r} is not a role; use one of {', '.join(ROLES)}", field="role")
    # Either end needs something to hand over or take in: a KV-cache, or hidden vectors of a known width.
    return Q(active=True) & (Q(has_kv_cache=True) | Q(latent_dimension__isnull=False))


def _unknown(spelling: str) -> ModelNotSupported:
    known = list(ModelSpelling.objects.values_list("spelling", "model"))
    near = difflib.get_close_matches(spelling[:MAX_NAME].strip().lower(), [each for each, _ in known], n=1)
    suggestion = dict(known)[near[0]] if near else None
    hint = f"; did you mean {suggestion!r}?" if suggestion else ""
    return ModelNotSupported(
        f"the model {spelling!r} is not in the registry{hint}", model=spelling, suggestion=suggestion
    )
