"""Admin pages on which a curator registers, corrects, activates and deactivates models through the commands."""

from collections.abc import Callable
from typing import Any, TypeAlias

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import AdminErrorList, AdminForm
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from latentmas.admin_pages import confirmation
from latentmas.events.errors import VersionConflict
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.errors import LatentMASError
from latentmas.registry.commands import change_popularity, correct_facts, register_model
from latentmas.registry.facts import unflatten
from latentmas.registry.forms import FIELDSETS, CorrectForm, FactsForm, ReasonForm, RegisterForm, initial_of
from latentmas.registry.models import RegisteredModel
from latentmas.registry.timeline import timeline

Admin: TypeAlias = "ModelAdmin[RegisteredModel]"  # generic for the type checker only
Switch = Callable[..., list[Recorded]]

CHANGE_TEMPLATE = "admin/registry/registeredmodel/change_form.html"
REASON_TEMPLATE = "admin/registry/registeredmodel/reason.html"
MOVED_ON = (
    "Somebody else changed this model while you were editing (version {seen} is now {now}); nothing was saved. What "
    "you typed is still here, and the timeline shows what happened. Saving again replaces the facts listed below."
)


def register(page: Admin, request: HttpRequest) -> HttpResponse:
    """Show or carry out the registration of a model."""
    form = RegisterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        try:
            facts = unflatten(form.fact_values())
            register_model(
                name=name, facts=facts, popularity=form.cleaned_data["popularity"], metadata=_metadata(request)
            )
        except LatentMASError as error:
            form.blame(error)
        else:
            messages.success(request, f"{name} is registered.")
            return HttpResponseRedirect(_address(name))
    fieldsets = ((None, {"fields": ("name",)}), *FIELDSETS)
    return _page(page, request, form, fieldsets=fieldsets, model=None)


def correct(page: Admin, request: HttpRequest, model: RegisteredModel) -> HttpResponse:
    """Show a model, or carry out what a curator changed about it."""
    form = CorrectForm(request.POST or None, initial=_stored(model))
    moved: tuple[str, ...] = ()
    if request.method == "POST" and form.is_valid():
        try:
            events = _save(model.name, form, _metadata(request))
        except VersionConflict:
            model.refresh_from_db()
            form, moved = _reopened(form, model)
        except LatentMASError as error:
            form.blame(error)
        else:
            messages.success(
                request, f"{model.name} is changed." if events else "Nothing was different; nothing is saved."
            )
            return HttpResponseRedirect(_address(model.name))
    fieldsets = (*FIELDSETS, ("Why", {"fields": ("reason", "version")}))
    return _page(page, request, form, fieldsets=fieldsets, model=model, moved=moved)


def switch(
    page: Admin, request: HttpRequest, models: QuerySet[RegisteredModel], *, command: Switch, verb: str
) -> HttpResponse | None:
    """Ask for the reason, then activate or deactivate every chosen model, or none; None leads back to the list."""
    chosen = list(models.order_by("name"))
    seen = " ".join(f"{model.name}@{model.version}" for model in chosen)
    form = ReasonForm(request.POST if "apply" in request.POST else None, initial={"versions": seen})
    if "apply" in request.POST and form.is_valid():
        try:
            count = _switch(chosen, form, command, _metadata(request))
        except VersionConflict as conflict:
            form = ReasonForm(_with(request.POST, "versions", seen))
            form.add_error(
                None, f"Somebody else changed a model meanwhile: {conflict.message}. Look again, then confirm."
            )
        except LatentMASError as error:
            form.add_error("reason" if error.facts.get("field") == "reason" else None, error.message)
        else:
            messages.success(request, f"{verb.capitalize()}: {count} of {len(chosen)} models changed.")
            return None
    title = f"{verb.capitalize()} models"
    context = {"title": title, "action": verb, "models": chosen, "chosen": [model.pk for model in chosen]}
    return confirmation(page, request, REASON_TEMPLATE, form=form, **context)


def _save(name: str, form: CorrectForm, metadata: Metadata) -> list[Recorded]:
    typed = form.cleaned_data
    seen = typed["version"]
    with transaction.atomic():
        events = correct_facts(
            name=name, changes=form.fact_values(), reason=typed["reason"], metadata=metadata, expected=seen
        )
        return events + change_popularity(
            name=name,
            popularity=typed["popularity"],
            reason=typed["reason"],
            metadata=metadata,
            expected=seen + len(events),
        )


def _stored(model: RegisteredModel) -> dict[str, Any]:
    return initial_of(model.facts(), model.popularity) | {"version": model.version}


def _reopened(form: CorrectForm, model: RegisteredModel) -> tuple[CorrectForm, tuple[str, ...]]:
    """Return the form as typed, moved to the current version, and a line for each value that differs from the row's."""
    again = CorrectForm(_with(form.data, "version", str(model.version)), initial=_stored(model))
    again.add_error(None, MOVED_ON.format(seen=form.cleaned_data["version"], now=model.version))
    moved = tuple(
        f"{again[name].label}: you have {_typed(again[name].data)}, the registry has {_typed(again[name].initial)}"
        for name in again.changed_data
        if name not in ("reason", "version")
    )
    return again, moved


def _with(data: Any, name: str, value: str) -> Any:
    changed = data.copy()
    changed[name] = value
    return changed


def _switch(chosen: list[RegisteredModel], form: ReasonForm, command: Switch, metadata: Metadata) -> int:
    versions, reason = form.cleaned_data["versions"], form.cleaned_data["reason"]
    with transaction.atomic():
        return sum(
            len(command(name=model.name, reason=reason, metadata=metadata, expected=versions.get(model.name, 0)))
            for model in chosen
        )


def _page(
    page: Admin,
    request: HttpRequest,
    form: FactsForm,
    *,
    fieldsets: Any,
    model: RegisteredModel | None,
    moved: tuple[str, ...] = (),
) -> HttpResponse:
    may_save = page.has_add_permission(request) if model is None else page.has_change_permission(request, model)
    if not may_save:
        for field in form.fields.values():
            field.disabled = True
    # The stubs ask for a ModelForm; the admin's own pages use these with plain forms too.
    admin_form = AdminForm(form, fieldsets, {}, model_admin=page)  # type: ignore[arg-type]
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": f"Correct {model.name}" if model else "Add model",
        "model": model,
        "adminform": admin_form,
        "errors": AdminErrorList(form, []),  # type: ignore[arg-type]
        "media": page.media + admin_form.media,
        "may_save": may_save,
        "timeline": timeline(model.name) if model else (),
        "moved": moved,
    }
    return TemplateResponse(request, CHANGE_TEMPLATE, context)


def _metadata(request: HttpRequest) -> Metadata:
    return Metadata(actor=f"user:{request.user.pk}")


def _address(name: str) -> str:
    return reverse("admin:registry_registeredmodel_change", args=[name])


def _typed(value: Any) -> str:
    return "nothing" if value in (None, "", [], ()) else str(value)
