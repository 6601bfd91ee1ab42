"""Putting money into a wallet, and asking for it back."""

from decimal import Decimal
from typing import Any

from django import forms

from latentmas.protocol.money import Money
from marketplace.ledger.balances import Holdings
from marketplace.listings.rest.selling_inputs import CURRENCY
from marketplace.payments.gateways.manual import MANUAL
from marketplace.payments.gateways.offered import offered
from marketplace.payments.gateways.stripe_checkout import STRIPE_CHECKOUT
from marketplace.payments.payout_commands import MAX_DESTINATION
from marketplace.payments.top_up_commands import MAX_AMOUNT, MIN_AMOUNT
from marketplace.web.money_text import minor_units

# The other gateways are for programs: they want a signature or a client's secret.
FOR_PEOPLE = {MANUAL: "by transfer, which a curator credits", STRIPE_CHECKOUT: "on a page of Stripe's"}


class AmountForm(forms.Form):
    amount = forms.DecimalField(
        min_value=Decimal(MIN_AMOUNT) / 100,
        max_value=Decimal(MAX_AMOUNT) / 100,
        decimal_places=2,
        help_text="As 50.00.",
    )

    def money(self) -> Money:
        """Return the amount in minor units."""
        return Money(minor_units(self.cleaned_data["amount"]), self.cleaned_data["currency"])


class TopUpForm(AmountForm):
    currency = forms.RegexField(r"^[A-Z]{3}\Z", initial=CURRENCY, help_text="Three letters.")
    gateway = forms.ChoiceField(label="Paid")

    def __init__(self, typed: Any = None) -> None:
        super().__init__(typed, auto_id="top_up_%s")
        field = self.fields["gateway"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, FOR_PEOPLE[name]) for name in offered() if name in FOR_PEOPLE]


class PayoutForm(AmountForm):
    """`seen` is the newest payout that the page has shown, so that a form sent twice asks for one."""

    currency = forms.ChoiceField()
    destination = forms.CharField(
        max_length=MAX_DESTINATION, help_text="Such as an IBAN; only curators read it in full."
    )
    seen = forms.CharField(max_length=36, required=False, widget=forms.HiddenInput)

    def __init__(self, holdings: list[Holdings], newest: str, typed: Any = None) -> None:
        super().__init__(typed, auto_id="payout_%s", initial={"seen": newest})
        self.newest = newest
        field = self.fields["currency"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(each.currency, each.currency) for each in holdings]

    def clean_seen(self) -> None:
        if self.cleaned_data["seen"] != self.newest:
            raise forms.ValidationError("you have asked for another payout since this page was shown; look at it first")
