"""What a seller of a memory says: of the offer, of a version, and of its end."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.models import User

from latentmas.protocol.money import Money
from marketplace.artefacts import commands
from marketplace.artefacts.decisions import MAX_DISCOUNT, STATEMENT_CHARACTERS
from marketplace.artefacts.events import Parent, Terms
from marketplace.artefacts.made import MAX_CANARY, Made
from marketplace.artefacts.models import Artefact, ArtefactParent
from marketplace.artefacts.publication import FIRST_VERSION, Offered, Said
from marketplace.artefacts.snapshots import made_memory
from marketplace.listings.lifecycle.commands import By
from marketplace.listings.rest.selling_inputs import CURRENCY
from marketplace.listings.validation import MAX_PRICE
from marketplace.memories.models import StoredMemory
from marketplace.memories.queries import memories_of
from marketplace.sales.goods import Kind
from marketplace.texts.checks import DESCRIPTION_CHARACTERS, REASON_CHARACTERS, TITLE_CHARACTERS
from marketplace.web.forms import LINES, ActingForm
from marketplace.web.money_text import amount_text, minor_units

MOST = Decimal(MAX_PRICE) / 100
# An id or an address that ends with one, and if one likes a royalty in per cent: "... 7.5 %".
PARENT = re.compile(
    r"\S*?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:[?#]\S*)?(?:\s+([0-9]{1,3}(?:\.[0-9]{1,2})?)\s*%?)?", re.ASCII
)
CONSENT = (
    "I know that whoever gets this KV-cache can win back the text that the model has read. I agree to give that text "
    "away with it, and I may do so."
)


class StoreForm(forms.Form):
    """A file from elsewhere, to be stored."""

    file = forms.FileField(
        label="File of a memory", help_text="A raw snapshot (.safetensors) or a .kvz file, as kvcache writes them."
    )


class TermsForm(forms.Form):
    """What a memory costs. Amounts as people write them."""

    price = forms.DecimalField(
        min_value=0,
        max_value=MOST,
        decimal_places=2,
        label="Base price",
        help_text=f"In {CURRENCY}, as 5.00. The formula adds to it for tokens, tier, quality and uniqueness.",
    )
    floor = forms.DecimalField(
        min_value=0,
        max_value=MOST,
        decimal_places=2,
        required=False,
        label="Sold for no less than",
        help_text=f"In {CURRENCY}; may be left empty.",
    )
    discount = forms.IntegerField(
        min_value=0, max_value=MAX_DISCOUNT, required=False, help_text="Per cent off what the formula gives."
    )

    def terms(self, currency: str = CURRENCY) -> Terms:
        typed = self.cleaned_data
        floor = None if typed["floor"] is None else minor_units(typed["floor"])
        return Terms(Money(minor_units(typed["price"]), currency), floor, typed["discount"] or 0)


class MemoryFileForm(forms.Form):
    """One of the login's stored memories as a version, and what its seller says of it."""

    memory = forms.ChoiceField(label="Stored memory")
    version = forms.CharField(max_length=32, initial=FIRST_VERSION, help_text="MAJOR.MINOR.PATCH")
    canary = forms.IntegerField(
        min_value=1,
        max_value=MAX_CANARY,
        required=False,
        label="Tokens given away",
        help_text="So many tokens from the beginning of the context are free for everybody, as a sample. Empty: none.",
    )
    parents = forms.CharField(
        max_length=2000,
        required=False,
        widget=LINES,
        label="Made from",
        help_text="The id or the address of a card on each line; a royalty may follow it, in per cent: 7.5 %.",
    )
    rights = forms.CharField(
        max_length=STATEMENT_CHARACTERS,
        widget=LINES,
        label="By what right you sell it",
        help_text="Everybody reads it.",
    )
    invertible = forms.BooleanField(label=CONSENT, error_messages={"required": "Without this nobody sells a memory."})

    def offer_memories(self, owner: User) -> None:
        """Let one of the login's stored memories be chosen; none is beforehand."""
        field = self.fields["memory"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "choose"), *((row.id, name_of_memory(row)) for row in memories_of(owner))]

    def clean_parents(self) -> tuple[Parent, ...]:
        return tuple(_parents_in(self.cleaned_data["parents"].splitlines()))

    def said(self) -> Said:
        typed = self.cleaned_data
        return Said(**{name: typed[name] for name in ("version", "rights", "invertible", "parents")})

    def made(self, owner: User) -> Made:
        """Return the version that the chosen memory becomes. Raises what `made_memory` does."""
        return made_memory(owner, memory=self.cleaned_data["memory"], canary=self.cleaned_data["canary"])


class PublishMemoryForm(ActingForm, MemoryFileForm, TermsForm):
    """A memory on sale with its first version."""

    title = forms.CharField(max_length=TITLE_CHARACTERS)
    description = forms.CharField(
        max_length=DESCRIPTION_CHARACTERS, required=False, widget=LINES, help_text="Everybody reads it."
    )
    field_order = ("agent", "memory", "title", "description", "price", "floor", "discount", "canary", "parents")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.offer_memories(user)

    def offered(self) -> Offered:
        typed = self.cleaned_data
        return Offered(Kind.MEMORY, typed["title"], typed["description"], self.terms())


class MemoryVersionForm(MemoryFileForm):
    """Another version. `seen` is the version of the artefact's record that the page has shown."""

    seen = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer_memories(user)


class ChangeForm(forms.Form):
    """One change of what is on sale. `seen` is the version of its record that the page has shown."""

    title = submit = lede = ""
    seen = forms.IntegerField(widget=forms.HiddenInput)

    def carry_out(self, row: Artefact, by: By) -> None:
        """Carry the command out. Raises what it does."""
        raise NotImplementedError


class WithdrawForm(ChangeForm):
    title, submit = "Withdraw it from sale", "Withdraw it for good"
    lede = "The offer ends for good. Who has bought it keeps what he has; the record stays, with your reason."
    reason = forms.CharField(max_length=REASON_CHARACTERS, widget=LINES, help_text="Everybody reads it.")

    def carry_out(self, row: Artefact, by: By) -> None:
        commands.withdraw(row.id, reason=self.cleaned_data["reason"], by=by)


class PriceForm(ChangeForm, TermsForm):
    title, submit = "Change the price", "Change it"
    lede = "For later sales. Quotes that were given hold until they expire."

    def carry_out(self, row: Artefact, by: By) -> None:
        commands.change_price(row.id, terms=self.terms(row.price_currency), by=by)


def terms_typed(row: Artefact) -> dict[str, Any]:
    """Return an artefact's terms as `PriceForm` shows them."""
    floor = None if row.floor is None else amount_text(row.floor)
    return {"price": amount_text(row.price_amount), "floor": floor, "discount": row.discount}


def parents_typed(parents: Iterable[ArtefactParent]) -> str:
    """Return declared parents as they are typed, one a line."""
    return "\n".join(f"{each.parent_id} {Decimal(each.basis_points) / 100} %" for each in parents)


def name_of_memory(row: StoredMemory) -> str:
    """Return how a seller tells his stored memories from each other."""
    return f"{row.model}, {row.tokens} tokens, {row.kind}, stored {row.created_at:%Y-%m-%d %H:%M} ({row.id[:8]})"


def _parents_in(lines: Sequence[str]) -> Iterable[Parent]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = PARENT.fullmatch(line.strip())
        if found is None:
            raise forms.ValidationError(
                f"line {number} is not the id or address of a card, with a royalty such as 7.5 % after it or none"
            )
        yield Parent(found[1], int(Decimal(found[2] or 0) * 100))
