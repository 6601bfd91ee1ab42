"""What a buyer says before a quote: for which agent, and how each kind of goods is to be delivered."""

from collections.abc import Mapping

from django import forms

from marketplace.sales.deliveries import MAX_QUERY, MAX_TOKENS, delivery_of
from marketplace.sales.goods import Delivery, Form, Kind
from marketplace.web.forms import LINES, ActingForm

MAX_STEPS = 10**6
FORMS = [
    (Form.COMPRESSED.value, "as it was published"),
    (Form.RAW.value, "raw, for the memory's own model"),
    (Form.ALIGNED.value, "aligned to my model"),
]


class BuyForm(ActingForm):
    """A capability is delivered as it is, so that there is nothing to choose."""

    version = forms.CharField(max_length=32, required=False, widget=forms.HiddenInput)

    def delivery(self) -> Delivery:
        """Return the delivery that was typed."""
        typed = {name: value for name, value in self.cleaned_data.items() if name not in ("agent", "version")}
        return delivery_of({name: value for name, value in typed.items() if value not in (None, "")})


class BuyMemoryForm(BuyForm):
    form = forms.ChoiceField(choices=FORMS, label="Delivered")
    target_model = forms.CharField(
        max_length=100,
        required=False,
        label="My model",
        help_text="For an aligned delivery: its name in the registry. The best certified W-Matrix maps the memory.",
    )
    minimum_retention = forms.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        help_text="From 0 to 1: an aligned delivery below it is refused, and nothing is charged.",
    )


class BuyChainForm(BuyMemoryForm):
    after_step = forms.IntegerField(
        min_value=1,
        max_value=MAX_STEPS,
        required=False,
        label="Go on after step",
        help_text="The last one by default. After an earlier one it is delivered raw or aligned.",
    )


class BuySelectionForm(BuyMemoryForm):
    query = forms.CharField(
        max_length=MAX_QUERY,
        required=False,
        widget=LINES,
        label="What it should be about",
        help_text="The most relevant segments are chosen; without it the newest.",
    )
    token_budget = forms.IntegerField(
        min_value=1, max_value=MAX_TOKENS, required=False, help_text="At most so many tokens; you pay for those chosen."
    )


BUY_FORMS: Mapping[Kind, type[BuyForm]] = {
    Kind.W_MATRIX: BuyForm,
    Kind.EMBEDDING: BuyForm,
    Kind.MEMORY: BuyMemoryForm,
    Kind.REASONING_CHAIN: BuyChainForm,
    Kind.LONG_TERM_MEMORY: BuySelectionForm,
}
