"""Reputation in the admin: read-only, with what a curator or operator does for a reason."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from latentmas.admin_pages import ReadOnlyAdmin
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.money import Money
from marketplace.configurations.pages import ConfigurationAdmin
from marketplace.curated import CuratedAdmin, StreamAdmin
from marketplace.ledger.accounts import bonuses, platform
from marketplace.ledger.balances import balance_of
from marketplace.listings.admin_actions import Action, Asked, ConfirmForm, ask
from marketplace.reputation.bonus_fund import fill_fund
from marketplace.reputation.configurations import CREDIT, INCENTIVES
from marketplace.reputation.models import (
    AgentRecord,
    Bonus,
    BonusFilling,
    CreditConfigurationVersion,
    IncentivesVersion,
    Review,
)
from marketplace.reputation.queries import standing_of
from marketplace.reputation.review_aggregate import REVIEW
from marketplace.reputation.review_commands import erase_review_texts, remove_review
from marketplace.texts.checks import REASON_CHARACTERS

TEMPLATE = "admin/effect.html"


def _remove(row: Review, reason: str, metadata: Metadata) -> str:
    remove_review(row.id, reason=reason, metadata=metadata)
    return "removed"


def _erase(row: Review, reason: str, metadata: Metadata) -> str:
    del reason
    erase_review_texts(row.id, metadata=metadata)
    return "its texts are erased"


REMOVE = Action(
    "These reviews are neither shown nor counted any more, for good. Who asks for one of them reads the reason.",
    _remove,
)
ERASE = Action(
    "What was written in and about these reviews is deleted, for good. Their ratings stay.", _erase, ConfirmForm
)


@admin.register(Review)
class ReviewAdmin(StreamAdmin, CuratedAdmin):
    aggregate = REVIEW
    actions = ("remove", "erase", *ReadOnlyAdmin.actions)
    list_display = ("written_at", "rating", "kind", "item", "seller", "reviewer", "text", "removed_at")
    list_filter = ("rating", "kind", ("removed_at", admin.EmptyFieldListFilter))
    search_fields = ("id", "seller", "reviewer", "item")

    @admin.action(description="Remove for good, for a reason", permissions=["curate"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Review]) -> HttpResponse | None:
        return self._ask(request, queryset, "remove", REMOVE)

    @admin.action(description="Erase the texts, for good", permissions=["curate"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Review]) -> HttpResponse | None:
        return self._ask(request, queryset, "erase", ERASE)

    def _ask(self, request: HttpRequest, queryset: QuerySet[Review], verb: str, action: Action) -> HttpResponse | None:
        rows = list(queryset)
        return ask(self, request, action, Asked(verb, "review", rows, [row.id for row in rows], TEMPLATE))


@admin.register(AgentRecord)
class AgentRecordAdmin(CuratedAdmin):
    list_display = ("agent", "score", "created", "measured", "sold", "reviews")
    search_fields = ("agent",)

    @admin.display(description="score")
    def score(self, row: AgentRecord) -> str:
        credit = standing_of(row.agent).credit
        return "none" if credit is None else f"{credit.score} ({credit.grade})"


@admin.register(CreditConfigurationVersion)
class CreditConfigurationAdmin(ConfigurationAdmin):
    configurable = CREDIT


@admin.register(IncentivesVersion)
class IncentivesAdmin(ConfigurationAdmin):
    configurable = INCENTIVES


@admin.register(Bonus)
class BonusAdmin(CuratedAdmin):
    list_display = ("period", "agent", "kind", "basis", "percent", "amount", "taken_back", "currency", "granted_at")
    list_filter = ("kind", "currency", "period")
    search_fields = ("id", "agent")


class FillingForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """The arguments of `fill_fund`, which `clean` calls, so that a refusal is shown beside the form."""

    currency = forms.RegexField(r"^[A-Z]{3}\Z", help_text="Three letters, such as USD.")
    amount = forms.IntegerField(min_value=1, help_text="Minor units: 5000 for 50.00.")
    reason = forms.CharField(max_length=REASON_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3}))
    actor = ""  # set by the page

    class Meta:
        model = BonusFilling
        fields = ()

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if not self.errors:
            amount, metadata = Money(typed["amount"], typed["currency"]), Metadata(actor=self.actor)
            try:
                recorded = fill_fund(amount, reason=typed["reason"], metadata=metadata)
            except LatentMASError as error:
                raise forms.ValidationError(error.message) from error
            self.instance = BonusFilling.objects.get(id=recorded[-1].event_id)
        return typed

    def _post_clean(self) -> None:
        """Leave the row to its projector."""


@admin.register(BonusFilling)
class BonusFillingAdmin(CuratedAdmin):
    list_display = ("at", "amount", "currency", "reason", "actor")
    list_filter = ("currency",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("reputation.add_bonusfilling")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        return type("NewFillingForm", (FillingForm,), {"actor": f"user:{request.user.pk}", "Meta": FillingForm.Meta})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("currency", "amount", "reason") if obj is None else super().get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has recorded it already."""
        left, held = balance_of(platform(obj.currency)), balance_of(bonuses(obj.currency))
        messages.success(request, f"The fund holds {held} {obj.currency} now, the platform's account {left}.")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Leave Django's own journal alone: the event says who did it."""
