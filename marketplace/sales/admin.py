"""Sales in the admin: read-only, with their events, and the curators' refund for a reason."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from latentmas.admin_pages import ReadOnlyAdmin, carry_out
from latentmas.events.types import Metadata
from marketplace.curated import CuratedAdmin, StreamAdmin
from marketplace.ledger.own_money import check_not_own
from marketplace.sales.aggregate import SALE
from marketplace.sales.commands import refund_sale
from marketplace.sales.events import RefundReason
from marketplace.sales.models import Sale

TEMPLATE = "admin/effect.html"
EFFECT = (
    "The buyer gets the amount back from everybody who had a share of the price, in proportion to what each has left "
    "of it. A seller's wallet may fall below zero by it. Once all is refunded, the right to the file has ended."
)


class RefundForm(forms.Form):
    amount = forms.IntegerField(min_value=1, required=False, help_text="Minor units of each; empty: all that is left.")
    reason = forms.ChoiceField(choices=[(each.value, each.value) for each in RefundReason])


@admin.register(Sale)
class SaleAdmin(StreamAdmin, CuratedAdmin):
    """Curators see every sale, and refund those that are not their own."""

    actions = ("refund", *ReadOnlyAdmin.actions)
    aggregate = SALE
    list_display = ("opened_at", "id", "kind", "item", "version", "seller", "buyer", "status", "price", "currency")
    list_filter = ("status", "kind", "currency")
    search_fields = ("id", "item", "seller", "buyer")

    @admin.action(description="Refund for a reason", permissions=["curate"])
    def refund(self, request: HttpRequest, queryset: QuerySet[Sale]) -> HttpResponse | None:
        """Ask for the reason and the amount, then refund every chosen sale or none."""
        rows, metadata = list(queryset), Metadata(actor=f"user:{request.user.pk}")

        def apply(typed: dict[str, Any]) -> list[str]:
            reason = RefundReason(typed["reason"])
            for row in rows:
                check_not_own(row.buyer, metadata.actor)
                refund_sale(row.id, amount=typed["amount"], reason=reason, by_curator=True, metadata=metadata)
            return [f"{row}: refunded." for row in rows]

        return carry_out(
            self,
            request,
            TEMPLATE,
            form=RefundForm,
            apply=apply,
            title=f"Refund: {len(rows)}",
            action="refund",
            effect=EFFECT,
            rows=[f"{row}: {row.kind} {row.item}, {row.price} {row.currency}, {row.status}" for row in rows],
            chosen=[row.pk for row in rows],
        )
