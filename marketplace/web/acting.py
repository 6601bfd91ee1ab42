"""For which of the login's agents a page is shown: the one that `?agent=` names, or the oldest."""

import functools as ft
from collections.abc import Callable
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.cache import cache_control

from latentmas.events.types import Metadata
from marketplace.agents.models import Agent
from marketplace.agents.queries import agents_of, handles_of, owner_name

View = Callable[..., HttpResponseBase]


def private(view: View) -> View:
    """Decorate a view whose pages are a login's own: no cache keeps them."""
    return cache_control(private=True, no_store=True)(login_required(view))


def for_agent(view: View) -> View:
    """Decorate a view of one agent's own affairs, which gets it as `agent`.

    A login without one is led to where it registers one; another login's agent is not found.
    """

    @ft.wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        own = {each.id: each for each in agents_of(cast(User, request.user)).filter(suspended=None)}
        if not own:
            return redirect("new-agent")
        agent = own.get(request.GET.get("agent") or next(iter(own)))
        if agent is None:
            raise Http404("you have no such agent")
        return view(request, agent, *args, **kwargs)

    return private(shown)


def own_agents(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    """Return what a page needs to show for whom it is, and to lead to the login's other agents."""
    others = [each.id for each in agents_of(cast(User, request.user)).filter(suspended=None)]
    handles = handles_of(others)
    return {"agent": agent, "own_agents": [(each, handles.get(each, each)) for each in others]}


def metadata_of(request: HttpRequest) -> Metadata:
    """Return who acts, as events name it."""
    return Metadata(actor=owner_name(cast(User, request.user)))
