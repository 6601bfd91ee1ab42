"""Selling memories by pages: what is stored and on sale, and how it is published, changed and withdrawn."""

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from latentmas.protocol.errors import LatentMASError
from marketplace.agents.models import Agent
from marketplace.artefacts import queries
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.artefacts.publication import list_artefact, next_version, publish_version
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.visibility import viewer_of
from marketplace.memories.commands import store_memory
from marketplace.memories.queries import memories_of
from marketplace.sales.goods import Kind
from marketplace.web.account_pages import FORM, need_agent
from marketplace.web.acting import for_agent, metadata_of, own_agents, private
from marketplace.web.bodies import too_large
from marketplace.web.forms import blame
from marketplace.web.items import name_of, seen_artefact
from marketplace.web.memory_forms import (
    ChangeForm,
    MemoryVersionForm,
    PriceForm,
    PublishMemoryForm,
    StoreForm,
    WithdrawForm,
    parents_typed,
    terms_typed,
)
from marketplace.web.views import ROWS

SCREENED_FIRST = (
    "It is offered when a screening has found nothing against it, which takes some seconds; nobody else sees it "
    "before. The file stays when you delete the stored memory."
)


@require_safe
@for_agent
def my_memories(request: HttpRequest, agent: Agent) -> HttpResponse:
    """Show what an agent has on sale, each version with its screening, and the login's stored memories."""
    return _my_memories(request, agent, StoreForm())


@csrf_exempt  # only so far that the size is looked at first
@for_agent
def store(request: HttpRequest, agent: Agent) -> HttpResponse:
    """Store the file of a memory, for the login alone."""
    if mistake := too_large(request, settings.KV_CACHE_MAX_BYTES):
        messages.error(request, mistake)
        return _my_memories(request, agent, StoreForm(), status=413)
    return _stored(request, agent)


@csrf_protect
@require_POST
def _stored(request: HttpRequest, agent: Agent) -> HttpResponse:
    form = StoreForm(request.POST, request.FILES)
    if form.is_valid():
        user, data = cast(User, request.user), form.cleaned_data["file"].read()
        try:
            _, new = store_memory(user, data=data, max_decoded_bytes=settings.KV_CACHE_MAX_BYTES)
        except LatentMASError as error:
            blame(form, error)
        else:
            return _done(request, agent.id, "It is stored." if new else "It was stored before.")
    return _my_memories(request, agent, form)


def _my_memories(request: HttpRequest, agent: Agent, form: StoreForm, status: int = 200) -> HttpResponse:
    page = Paginator(queries.sold_by(agent.id), ROWS).get_page(request.GET.get("page"))
    versions: dict[str, list[ArtefactVersion]] = {}
    rows = ArtefactVersion.objects.filter(artefact_id__in=[row.id for row in page])
    for version in rows.order_by("-major", "-minor", "-patch"):
        versions.setdefault(version.artefact_id, []).append(version)
    context = own_agents(request, agent) | {
        "page": page,
        "query": f"agent={agent.id}",
        "artefacts": [(row, name_of(row.kind), versions.get(row.id, [])) for row in page],
        "stored": list(memories_of(cast(User, request.user))),
        "store_form": form,
    }
    return render(request, "my_memories.html", context, status=status)


@private
def publish(request: HttpRequest) -> HttpResponse:
    """Show the form, or list the stored memory that it names."""
    if leads := need_agent(request):
        return leads
    user = cast(User, request.user)
    form = PublishMemoryForm(user, request.POST or None, initial={"memory": request.GET.get("memory")})
    if request.method == "POST" and form.is_valid():
        by = By(form.cleaned_data["agent"], metadata_of(request))
        try:
            list_artefact(form.offered(), form.said(), form.made(user), by=by)
        except LatentMASError as error:
            blame(form, error)
        else:
            return _done(request, form.cleaned_data["agent"], "It is on sale as soon as its screening has passed.")
    shown = {"title": "Publish a memory", "lede": SCREENED_FIRST, "submit": "Publish", "form": form}
    return render(request, FORM, shown)


@private
def publish_version_of(request: HttpRequest, artefact_id: str) -> HttpResponse:
    """Show the form, or publish the stored memory that it names as another version."""
    row = _own(request, Kind.MEMORY, artefact_id)
    user, last = cast(User, request.user), queries.newest_version(row)
    said: dict[str, Any] = {"version": next_version(last.version), "rights": last.rights}
    said |= {"parents": parents_typed(queries.parents_of(row)), "seen": row.stream_version}
    form = MemoryVersionForm(user, request.POST or None, initial=said)
    if request.method == "POST" and form.is_valid():
        by = By(row.seller, metadata_of(request), form.cleaned_data["seen"])
        try:
            publish_version(row.id, form.said(), form.made(user), by=by)
        except LatentMASError as error:
            blame(form, error)
        else:
            return _done(request, row.seller, "The version is on offer as soon as its screening has passed.")
    shown = {"title": "Publish a version", "lede": SCREENED_FIRST, "submit": "Publish", "form": form, "artefact": row}
    return render(request, FORM, shown)


@private
def withdraw(request: HttpRequest, artefact_id: str, kind: Kind) -> HttpResponse:
    """Show the form, or end an offer for good."""
    row = _own(request, kind, artefact_id)
    return _change(request, row, WithdrawForm, {}, "It was withdrawn.")


@private
def price(request: HttpRequest, artefact_id: str, kind: Kind) -> HttpResponse:
    """Show the form, or change the terms of later sales."""
    row = _own(request, kind, artefact_id)
    return _change(request, row, PriceForm, terms_typed(row), "The price was changed.")


def _change(
    request: HttpRequest, row: Artefact, shape: type[ChangeForm], shown: dict[str, Any], said: str
) -> HttpResponse:
    form = shape(request.POST or None, initial=shown | {"seen": row.stream_version})
    if request.method == "POST" and form.is_valid():
        try:
            form.carry_out(row, By(row.seller, metadata_of(request), form.cleaned_data["seen"]))
        except LatentMASError as error:
            blame(form, error)
        else:
            return _done(request, row.seller, said)
    context = {"title": shape.title, "lede": shape.lede, "submit": shape.submit, "form": form, "artefact": row}
    return render(request, FORM, context)


def _own(request: HttpRequest, kind: Kind, artefact_id: str) -> Artefact:
    """Return an artefact that one of the login's agents sells. Raises Http404."""
    row = seen_artefact(request, kind, artefact_id)
    if row.seller not in viewer_of(request).agents:
        raise Http404("your agents sell no such thing")
    return row


def _done(request: HttpRequest, agent: str, said: str) -> HttpResponse:
    messages.success(request, said)
    return redirect(f"{reverse('my-memories')}?agent={agent}")
