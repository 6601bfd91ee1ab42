"""Top-ups and payouts in the admin: read-only, with the curators' actions, each of which is given its reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from latentmas.admin_pages import ReadOnlyAdmin, carry_out
from latentmas.events.commands import Aggregate
from latentmas.events.queries import timeline
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.money import Money
from marketplace.agents.queries import get_agent
from marketplace.payments import by_hand, payout_commands
from marketplace.payments.models import PaymentText, Payout, TopUp
from marketplace.payments.payout_aggregate import PAYOUT
from marketplace.payments.queries import destinations_of
from marketplace.payments.top_up_aggregate import TOP_UP
from marketplace.texts.checks import REASON_CHARACTERS

TEMPLATE = "admin/effect.html"


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=REASON_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3}))


class NewTopUpForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """The arguments of `top_up_by_hand`, which `clean` calls."""

    agent_id = forms.CharField(label="Agent", help_text="Its id.")
    amount = forms.IntegerField(min_value=1, help_text="Minor units: 5000 for 50.00.")
    reason = forms.CharField(max_length=REASON_CHARACTERS, help_text="By which payment the money has come in.")
    actor = ""  # set by the page

    class Meta:
        model = TopUp
        fields = ("agent_id", "currency")

    def clean(self) -> dict[str, Any]:
        """Record the top-up here, so that a refusal is shown beside the form."""
        typed = super().clean() or {}
        if not self.errors:
            try:
                made = by_hand.top_up_by_hand(
                    get_agent(typed["agent_id"]),
                    Money(typed["amount"], typed["currency"]),
                    reason=typed["reason"],
                    metadata=Metadata(actor=self.actor),
                )
            except LatentMASError as error:
                raise forms.ValidationError(error.message) from error
            self.instance = TopUp.objects.get(id=made)
        return typed

    def _post_clean(self) -> None:
        """Leave the row as its projector has written it."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a page says before the action, and the command."""

    effect: str
    apply: Callable[..., None]  # row, reason=, metadata=


class DecidedAdmin(ReadOnlyAdmin):
    """Rows that curators decide about: read-only, with their stream and what was written in it."""

    change_form_template = "admin/payments/detail.html"
    decisions: ClassVar[Mapping[str, Action]]
    aggregate: ClassVar[Aggregate[Any]]
    list_filter: ClassVar[tuple[str, ...]] = ("status", "currency")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Add the timeline and, for who decides, the texts: a destination is nobody else's affair."""
        stream = self.aggregate.stream(object_id)
        written = PaymentText.objects.filter(stream=stream) if self.has_decide_permission(request) else ()
        extra = {"timeline": timeline(stream), "written": written}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | extra)

    def decide(self, request: HttpRequest, queryset: QuerySet[Any], verb: str) -> HttpResponse | None:
        """Ask for the reason, then carry the action out on every chosen row or on none."""
        rows, action = list(queryset), self.decisions[verb]
        metadata = Metadata(actor=f"user:{request.user.pk}")

        def apply(typed: dict[str, Any]) -> Sequence[str]:
            for row in rows:
                action.apply(row, reason=typed["reason"], metadata=metadata)
            return [f"{row}: done." for row in rows]

        named = verb.replace("_", " ")
        context: dict[str, Any] = {
            "title": f"{named.capitalize()}: {len(rows)}",
            "action": verb,
            "effect": action.effect,
        }
        context |= {"rows": self.described(rows), "chosen": [row.pk for row in rows]}
        return carry_out(self, request, TEMPLATE, form=ReasonForm, apply=apply, **context)

    def described(self, rows: Sequence[Any]) -> list[str]:
        return [f"{row} ({row.status})" for row in rows]


@admin.register(TopUp)
class TopUpAdmin(DecidedAdmin):
    form = NewTopUpForm
    aggregate = TOP_UP
    actions = ("credit", "fail", "charge_back", *ReadOnlyAdmin.actions)
    list_display = (
        "requested_at",
        "id",
        "agent_id",
        "gateway",
        "amount",
        "currency",
        "status",
        "returned",
        "reference",
    )
    list_filter = ("status", "gateway", "currency")
    search_fields = ("id", "agent_id", "reference")
    decisions = {
        "credit": Action("The amounts are put into the wallets: the money has come in.", by_hand.credit_top_up),
        "fail": Action("These top-ups end: no money will come in for them.", by_hand.fail_top_up),
        "charge_back": Action(
            "What is left of these top-ups is taken out of the wallets, which may fall below zero.",
            by_hand.charge_back_top_up,
        ),
    }

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.add_topup")

    def get_fields(self, request: HttpRequest, obj: TopUp | None = None) -> Any:
        return ("agent_id", "amount", "currency", "reason") if obj is None else [f.name for f in TopUp._meta.fields]

    def get_form(self, request: HttpRequest, obj: TopUp | None = None, change: bool = False, **kwargs: Any) -> Any:
        made: Any = super().get_form(request, obj, change, **kwargs)
        made.actor = f"user:{request.user.pk}"
        return made

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has recorded it already."""
        messages.success(request, f"{obj}: credited.")

    @admin.action(description="Credit, for a reason", permissions=["decide"])
    def credit(self, request: HttpRequest, queryset: QuerySet[TopUp]) -> HttpResponse | None:
        return self.decide(request, queryset, "credit")

    @admin.action(description="Fail, for a reason", permissions=["decide"])
    def fail(self, request: HttpRequest, queryset: QuerySet[TopUp]) -> HttpResponse | None:
        return self.decide(request, queryset, "fail")

    @admin.action(description="Charge back, for a reason", permissions=["decide"])
    def charge_back(self, request: HttpRequest, queryset: QuerySet[TopUp]) -> HttpResponse | None:
        return self.decide(request, queryset, "charge_back")


@admin.register(Payout)
class PayoutAdmin(DecidedAdmin):
    aggregate = PAYOUT
    actions = ("approve", "mark_paid", "refuse", "erase", *ReadOnlyAdmin.actions)
    list_display = ("requested_at", "id", "agent_id", "amount", "currency", "status")
    search_fields = ("id", "agent_id")
    decisions = {
        "approve": Action("These payouts can be paid from then on.", payout_commands.approve_payout),
        "mark_paid": Action(
            "The money has left; write by which payment. This cannot be taken back.", payout_commands.mark_paid
        ),
        "refuse": Action("The money goes back into the wallets.", payout_commands.refuse_payout),
    }

    def described(self, rows: Sequence[Any]) -> list[str]:
        """Say where the money is to be sent, too: who decides must know it."""
        sent_to = destinations_of(rows)
        return [f"{row} ({row.status}): {sent_to[row.id]}" for row in rows]

    @admin.action(description="Approve, for a reason", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Payout]) -> HttpResponse | None:
        return self.decide(request, queryset, "approve")

    @admin.action(description="Mark as paid, with the payment", permissions=["decide"])
    def mark_paid(self, request: HttpRequest, queryset: QuerySet[Payout]) -> HttpResponse | None:
        return self.decide(request, queryset, "mark_paid")

    @admin.action(description="Refuse, for a reason", permissions=["decide"])
    def refuse(self, request: HttpRequest, queryset: QuerySet[Payout]) -> HttpResponse | None:
        return self.decide(request, queryset, "refuse")

    @admin.action(description="Erase what was written, for good", permissions=["decide"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Payout]) -> None:
        for row in queryset:
            try:
                payout_commands.erase_payout_texts(row)
            except LatentMASError as error:
                messages.error(request, f"{row}: {error.message}")
            else:
                messages.success(request, f"{row}: erased.")
