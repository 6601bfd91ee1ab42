"""What the parties of a purchase may say in a dispute, and the texts that a buyer names before he buys."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.claims import commands
from marketplace.claims.acceptance_events import Promise
from marketplace.claims.acceptance_texts import LEAST_TEXTS, MAX_CHARACTERS, MOST_TEXTS, least_characters
from marketplace.claims.aggregate import UNDECIDED, WINDOW, DisputeStatus
from marketplace.claims.commands import TEXT_CHARACTERS
from marketplace.claims.events import DisputeKind
from marketplace.claims.models import Dispute
from marketplace.sales.aggregate import Status
from marketplace.sales.models import Sale
from marketplace.web.forms import LINES, blame

SAID: dict[DisputeKind, str] = {
    DisputeKind.DEFECTIVE: "it cannot be used at all",
    DisputeKind.NOT_AS_DESCRIBED: "it is not what was described",
    DisputeKind.BELOW_CERTIFICATE: "it is worse than its certificate says",
    DisputeKind.RIGHTS: "the seller had no right to sell it",
    DisputeKind.OTHER: "something else",
}
READ_BY = "The other party and the curators read it."
BETWEEN = re.compile(r"^-{3,}[ \t]*$", re.MULTILINE)  # a line of hyphens parts two texts


class StepForm(forms.Form):
    """One step of a dispute; `title` and `submit` are shown with it."""

    title = submit = ""

    def take(self, sale: Sale, *, agent: str, at: datetime, metadata: Metadata) -> None:
        """Carry the command out. Raises what it does."""
        raise NotImplementedError


class ComplaintForm(StepForm):
    title, submit = "Open a dispute", "Open the dispute"
    kind = forms.ChoiceField(
        choices=[("", "choose"), *((kind.value, said) for kind, said in SAID.items())], label="What is wrong"
    )
    text = forms.CharField(max_length=TEXT_CHARACTERS, widget=LINES, label="How you know", help_text=READ_BY)

    def take(self, sale: Sale, *, agent: str, at: datetime, metadata: Metadata) -> None:
        typed = self.cleaned_data
        kind = DisputeKind(typed["kind"])
        commands.open_dispute(sale, agent=agent, kind=kind, text=typed["text"], at=at, metadata=metadata)


class LaterForm(StepForm):
    """A step of the dispute that the page has shown in the version `seen`."""

    seen = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, row: Dispute, typed: Any = None) -> None:
        super().__init__(typed, initial={"seen": row.stream_version})
        self.row = row


class AnswerForm(LaterForm):
    title, submit = "Answer it, once", "Send the answer"
    text = forms.CharField(max_length=TEXT_CHARACTERS, widget=LINES, label="What you say to it", help_text=READ_BY)

    def take(self, sale: Sale, *, agent: str, at: datetime, metadata: Metadata) -> None:
        typed = self.cleaned_data
        commands.answer_dispute(self.row, agent=agent, text=typed["text"], metadata=metadata, expected=typed["seen"])


class TakeBackForm(LaterForm):
    title, submit = "Take it back", "Take the dispute back"

    def take(self, sale: Sale, *, agent: str, at: datetime, metadata: Metadata) -> None:
        commands.withdraw_dispute(self.row, agent=agent, metadata=metadata, expected=self.cleaned_data["seen"])


def step_form(sale: Sale, row: Dispute | None, *, as_buyer: bool, at: datetime, typed: Any) -> StepForm | None:
    """Return the form for what a party may do now, bound to what it has typed; None where that is nothing."""
    if row is not None and row.status in UNDECIDED:
        if as_buyer:
            return TakeBackForm(row, typed)
        return AnswerForm(row, typed) if row.status == DisputeStatus.OPEN else None
    if not as_buyer or (row is not None and row.status == DisputeStatus.RESOLVED):
        return None
    in_time = sale.captured_at is not None and at <= sale.captured_at + WINDOW
    return ComplaintForm(typed) if in_time and sale.status == Status.CAPTURED else None


class SeveralFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class TextFilesField(forms.FileField):
    """Files of plain text; the value is a list of their texts."""

    widget = SeveralFiles

    def clean(self, data: Any, initial: Any = None) -> list[str]:
        return [self._text_in(super(TextFilesField, self).clean(each, initial)) for each in data or ()]

    def _text_in(self, file: "UploadedFile[Any]") -> str:
        try:
            return str(file.read(), "utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise forms.ValidationError(f"{file.name} is no text in UTF-8") from error


class TextsForm(forms.Form):
    """The texts on which a W-Matrix is to be measured; each from a file, or typed with a line of hyphens between."""

    quote = forms.CharField(widget=forms.HiddenInput)
    length = forms.TypedChoiceField(coerce=int, label="What is put to the test")
    documents = TextFilesField(
        required=False,
        label="Text files",
        help_text=f"UTF-8, each one text. {LEAST_TEXTS} to {MOST_TEXTS} texts in all, from files and from below.",
    )
    texts = forms.CharField(
        required=False,
        max_length=MOST_TEXTS * MAX_CHARACTERS,
        widget=LINES,
        label="Or typed here",
        help_text="With a line of three hyphens (---) between two texts.",
    )

    def __init__(self, quote: str, promises: Sequence[Promise], typed: Any = None, files: Any = None) -> None:
        super().__init__(typed, files, initial={"quote": quote})
        field = self.fields["length"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(each.length, promise_text(each)) for each in promises]

    def named(self) -> list[str]:
        """Return the texts, those of files first."""
        typed = (each.strip("\n") for each in BETWEEN.split(self.cleaned_data["texts"]))
        return [*self.cleaned_data["documents"], *(each for each in typed if each.strip())]

    def blame(self, error: LatentMASError) -> None:
        """Show why the command refused, with the number of the text where one is at fault."""
        name, _, number = str(error.facts.get("field", "")).partition(".")
        if name == "texts" and number.isdigit():
            self.add_error(None, f"Text {int(number) + 1}: {error.message}")
        else:
            blame(self, error)


def promise_text(promise: Promise) -> str:
    """Return what a certificate promises of a length, and how long a text must be for it."""
    least = least_characters(promise.length)
    return f"{promise.length} tokens: at least {promise.low} is kept; texts of {least} characters and more"
