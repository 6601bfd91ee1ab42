"""Disputes and acceptances in the admin: read-only; curators decide a dispute by an action with its reason."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from latentmas.admin_pages import ReadOnlyAdmin, carry_out
from latentmas.events.queries import timeline
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.claims.acceptance_aggregate import ACCEPTANCE
from marketplace.claims.aggregate import DISPUTE
from marketplace.claims.commands import erase_dispute_texts, resolve_dispute
from marketplace.claims.events import Outcome
from marketplace.claims.models import Acceptance, Dispute, DisputeText
from marketplace.claims.queries import written_in
from marketplace.curated import StreamAdmin
from marketplace.texts.checks import REASON_CHARACTERS

TEMPLATE = "admin/effect.html"
EFFECTS = {
    Outcome.REFUNDED: "All that is left of these prices goes back to the buyers, out of every share of the sales.",
    Outcome.PARTLY_REFUNDED: "This amount of each price goes back to its buyer, out of every share of the sale.",
    Outcome.REJECTED: "Nothing is given back, and what was set aside is the sellers' again.",
}


class DecisionForm(forms.Form):
    reason = forms.CharField(max_length=REASON_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3}))


class PartForm(DecisionForm):
    amount = forms.IntegerField(min_value=1, help_text="Minor units.")


class UndecidedFilter(admin.SimpleListFilter):
    """Shows the queue, which is the disputes that wait for a decision, unless others are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("ended", "Ended"), ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        default, *others = super().choices(changelist)
        yield default | {"display": "Undecided"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> QuerySet[Dispute]:
        return queryset if self.value() == "all" else queryset.filter(ended_at__isnull=self.value() is None)


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    actions = ("refund", "refund_part", "reject", "erase", *ReadOnlyAdmin.actions)
    change_form_template = "admin/payments/detail.html"
    list_display = ("opened_at", "id", "kind", "status", "outcome", "amount", "reserved", "refunded", "currency")
    list_filter = (UndecidedFilter, "status", "kind", "currency")
    search_fields = ("id", "buyer", "seller")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("claims.change_dispute")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Add the timeline and, for who may read them, the texts."""
        stream = DISPUTE.stream(object_id)
        reads = request.user.has_perm("claims.view_disputetext")
        written = DisputeText.objects.filter(stream=stream) if reads else ()
        extra = {"timeline": timeline(stream), "written": written}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | extra)

    @admin.action(description="Refund in full, for a reason", permissions=["decide"])
    def refund(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> HttpResponse | None:
        return self._decide(request, queryset, Outcome.REFUNDED, "refund")

    @admin.action(description="Refund a part, for a reason", permissions=["decide"])
    def refund_part(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> HttpResponse | None:
        return self._decide(request, queryset, Outcome.PARTLY_REFUNDED, "refund_part", form=PartForm)

    @admin.action(description="Reject, for a reason", permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> HttpResponse | None:
        return self._decide(request, queryset, Outcome.REJECTED, "reject")

    @admin.action(description="Erase what was written, for good", permissions=["decide"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Dispute]) -> None:
        for row in queryset:
            try:
                erase_dispute_texts(row)
            except LatentMASError as error:
                messages.error(request, f"{row}: {error.message}")
            else:
                messages.success(request, f"{row}: erased.")

    def _decide(
        self,
        request: HttpRequest,
        queryset: QuerySet[Dispute],
        outcome: Outcome,
        action: str,
        *,
        form: type[DecisionForm] = DecisionForm,
    ) -> HttpResponse | None:
        """Ask for the reason, then decide every chosen dispute or none; None leads back to the list."""
        rows, metadata = list(queryset), Metadata(actor=f"user:{request.user.pk}")

        def apply(typed: dict[str, Any]) -> Sequence[str]:
            for row in rows:
                resolve_dispute(row, outcome=outcome, metadata=metadata, **typed)
            return [f"{row}: {outcome.value}." for row in rows]

        written = written_in(rows)
        context: dict[str, Any] = {
            "title": f"{action.replace('_', ' ').capitalize()}: {len(rows)}",
            "action": action,
            "effect": EFFECTS[outcome],
            "rows": [f"{row}: {written[row.text]}" for row in rows],
            "chosen": [row.pk for row in rows],
        }
        return carry_out(self, request, TEMPLATE, form=form, apply=apply, **context)


@admin.register(Acceptance)
class AcceptanceAdmin(StreamAdmin):
    aggregate = ACCEPTANCE
    list_display = ("requested_at", "id", "item", "version", "status", "below", "refunded", "code")
    list_filter = ("status", "below")
    search_fields = ("id", "buyer", "seller", "item")
