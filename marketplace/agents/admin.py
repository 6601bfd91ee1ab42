"""Agents in the admin: read-only, with the curators' actions, which call the same commands as everything else."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.agents.aggregate import AGENT
from marketplace.agents.commands import erase_profile, reinstate_agent, suspend_agent, withdraw_verification
from marketplace.agents.events import SuspensionReason, WithdrawalReason
from marketplace.agents.models import Agent, AgentProfile
from marketplace.agents.verification import verify
from marketplace.curated import Curated, StreamAdmin

Act = Callable[[Agent, Metadata], object]


class CurationForm(ActionForm):
    """The reason of a suspension; the other actions need none."""

    reason = forms.ChoiceField(
        choices=[("", "reason to suspend"), *((each.value, each.value) for each in SuspensionReason)], required=False
    )


@admin.register(Agent)
class AgentAdmin(Curated, StreamAdmin):
    action_form = CurationForm
    actions = ("suspend", "reinstate", "ask_domain", "withdraw", "erase", *ReadOnlyAdmin.actions)
    aggregate = AGENT
    list_display = ("id", "handle", "owner", "domain", "suspended", "registered_at")
    list_filter = (("domain", admin.EmptyFieldListFilter), ("suspended", admin.EmptyFieldListFilter))
    search_fields = ("id", "owner", "domain")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Agent]:
        written = AgentProfile.objects.filter(agent_id=OuterRef("id"))
        rows: QuerySet[Agent] = super().get_queryset(request).annotate(handle=Subquery(written.values("handle")[:1]))
        return rows

    @admin.display(description="handle")
    def handle(self, row: Any) -> str | None:
        handle: str | None = row.handle
        return handle

    @admin.action(description="Suspend, for the reason chosen", permissions=["curate"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        chosen = request.POST.get("reason")
        if chosen not in list(SuspensionReason):
            messages.error(request, "Choose the reason beside the action.")
            return
        reason = SuspensionReason(chosen)
        _each(request, queryset, lambda agent, metadata: suspend_agent(agent.id, reason=reason, metadata=metadata))

    @admin.action(description="Reinstate", permissions=["curate"])
    def reinstate(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        _each(request, queryset, lambda agent, metadata: reinstate_agent(agent.id, metadata=metadata))

    @admin.action(description="Ask the domain again", permissions=["curate"])
    def ask_domain(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        _each(
            request,
            queryset,
            lambda agent, metadata: verify(agent, domain=agent.domain or "", requested_by=metadata.actor),
        )

    @admin.action(description="Withdraw the verification", permissions=["curate"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        _each(
            request,
            queryset,
            lambda agent, metadata: withdraw_verification(agent.id, reason=WithdrawalReason.CURATOR, metadata=metadata),
        )

    @admin.action(description="Erase the profile, for good", permissions=["curate"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Agent]) -> None:
        _each(request, queryset, lambda agent, metadata: erase_profile(agent.id, metadata=metadata))


def _each(request: HttpRequest, agents: QuerySet[Agent], act: Act) -> None:
    """Carry out an action on each agent, and say what became of it."""
    metadata = Metadata(actor=f"user:{request.user.pk}")
    for agent in agents:
        try:
            act(agent, metadata)
        except LatentMASError as error:
            messages.error(request, f"{agent}: {error.message}")
        else:
            messages.success(request, f"{agent}: done")
