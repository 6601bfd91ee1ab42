"""The forms of the pages. What they let through, the commands check again; `blame` shows what those refuse."""

from typing import Any

from django import forms
from django.contrib.auth.models import User

from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.money import Money
from marketplace.agents.models import MAX_DESCRIPTION, MAX_DISPLAY_NAME, MAX_HANDLE
from marketplace.agents.queries import agents_of, handles_of
from marketplace.curation.models import MAX_TEXT, Kind
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.models import Request as AccessRequest
from marketplace.listings.publishing.publication import Declared, Offer
from marketplace.listings.rest.selling_inputs import CURRENCY, MAX_SAMPLES
from marketplace.listings.validation import MAX_PRICE, STATEMENT_CHARACTERS
from marketplace.texts.checks import DESCRIPTION_CHARACTERS, REASON_CHARACTERS, TITLE_CHARACTERS


class Lines(forms.Textarea):
    """Several lines of text. Browsers send the breaks as CR LF, of which no text that is kept has the CR."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        typed = super().value_from_datadict(data, files, name)
        return typed.replace("\r\n", "\n") if isinstance(typed, str) else typed


LINES = Lines(attrs={"rows": 4})


def blame(form: forms.Form, error: LatentMASError) -> None:
    """Show why a command refused, beside the field at fault where the form has it."""
    field = str(error.facts.get("field", "")).rpartition(".")[2]  # a form has the fields of its parts as its own
    form.add_error(field if field in form.fields else None, error.message)


class AgentForm(forms.Form):
    handle = forms.CharField(max_length=MAX_HANDLE, help_text="Unique: lower-case letters, digits, hyphens.")
    display_name = forms.CharField(max_length=MAX_DISPLAY_NAME, label="Name")
    description = forms.CharField(max_length=MAX_DESCRIPTION, required=False, widget=LINES)


class ActingForm(forms.Form):
    """Asks for which of the login's agents something is done."""

    agent = forms.ChoiceField(label="As your agent")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        agents = list(agents_of(user).filter(suspended=None))
        handles = handles_of(each.id for each in agents)
        choices = [(each.id, handles.get(each.id, each.id)) for each in agents]
        field = self.fields["agent"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


class VersionForm(ActingForm):
    """A file, and what its seller says of it."""

    version = forms.CharField(max_length=32, help_text="MAJOR.MINOR.PATCH, as in the file.")
    epsilon = forms.FloatField(
        min_value=0, max_value=1, help_text="What you say is lost, from 0 to 1. The certifier measures it."
    )
    test_samples = forms.IntegerField(min_value=0, max_value=MAX_SAMPLES, help_text="On how many samples you say so.")
    file = forms.FileField(required=False, help_text="A W-Matrix as .safetensors.")
    # What static/web/upload.js sends the file as, before it sends the form.
    upload = forms.CharField(max_length=32, required=False, widget=forms.HiddenInput)

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        if self.data.get("upload"):
            self.fields["file"].help_text = "It has arrived. Choose one only if it is to be another."

    def clean(self) -> None:
        super().clean()
        if not (self.cleaned_data.get("file") or self.cleaned_data.get("upload") or "file" in self.errors):
            self.add_error("file", "Choose a file.")

    def declared(self) -> Declared:
        return Declared(**{name: self.cleaned_data[name] for name in ("version", "epsilon", "test_samples")})


class PublishForm(VersionForm):
    """A new listing with its first version."""

    title = forms.CharField(max_length=TITLE_CHARACTERS)
    description = forms.CharField(max_length=DESCRIPTION_CHARACTERS, required=False, widget=LINES)
    source_model = forms.CharField(max_length=100, help_text="Name, hub id or alias, as in the registry.")
    target_model = forms.CharField(max_length=100, help_text="Name, hub id or alias, as in the registry.")
    price = forms.IntegerField(
        min_value=0, max_value=MAX_PRICE, help_text=f"In minor units of {CURRENCY}: 1999 is 19.99."
    )
    tags = forms.CharField(max_length=1000, required=False, help_text="With commas between them.")
    access = forms.ChoiceField(choices=[(each.value, each.value) for each in Access])
    seller_statement = forms.CharField(
        max_length=STATEMENT_CHARACTERS, required=False, widget=LINES, help_text="By what right you offer it."
    )
    field_order = ("agent", "title", "description", "source_model", "target_model", "price", "tags", "access")

    def offer(self) -> Offer:
        typed = self.cleaned_data
        words = [word.strip() for word in typed["tags"].split(",")]
        return Offer(
            **{name: typed[name] for name in ("title", "description", "source_model", "target_model")},
            price=Money(typed["price"], CURRENCY),
            tags=tuple(word for word in words if word),
            access=Access(typed["access"]),
            seller_statement=typed["seller_statement"].strip() or None,
        )


class AskForm(ActingForm):
    message = forms.CharField(
        max_length=REASON_CHARACTERS, required=False, widget=LINES, help_text="Its seller reads it."
    )


class AnswerForm(forms.Form):
    agent = forms.CharField(max_length=100, widget=forms.HiddenInput)
    decision = forms.ChoiceField(choices=[(each.value, each.value) for each in AccessRequest])
    reason = forms.CharField(max_length=REASON_CHARACTERS, required=False)

    def clean_decision(self) -> AccessRequest:
        decision = AccessRequest(self.cleaned_data["decision"])
        if decision is AccessRequest.ASKED:
            raise forms.ValidationError("grant it or refuse it")
        return decision


class ReportForm(forms.Form):
    kind = forms.ChoiceField(choices=Kind.choices, label="What is wrong")
    text = forms.CharField(max_length=MAX_TEXT, widget=LINES, label="How you know", help_text="Only curators read it.")
