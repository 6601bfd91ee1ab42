"""What the parties of a purchase may say about it: the buyer a review, changed once; the seller one answer."""

from typing import Any

from django import forms

from latentmas.events.types import Metadata
from marketplace.reputation import review_commands as commands
from marketplace.reputation.credit import BEST, WORST
from marketplace.reputation.models import Review
from marketplace.reputation.review_aggregate import TEXT_CHARACTERS
from marketplace.sales.aggregate import Status
from marketplace.sales.models import Sale
from marketplace.web.forms import LINES

# None is chosen beforehand: a rating that nobody has made would count.
RATINGS = [("", "choose"), *((rating, f"{rating} of {BEST}") for rating in range(BEST, WORST - 1, -1))]


class SayForm(forms.Form):
    """One thing to say; `title` and `submit` are shown with it."""

    title = submit = ""
    text = forms.CharField(max_length=TEXT_CHARACTERS, widget=LINES)

    def say(self, sale: str, agent: str, metadata: Metadata) -> None:
        """Carry the command out. Raises what it does."""
        raise NotImplementedError


class ReviewForm(SayForm):
    title, submit = "Review it", "Publish the review"
    rating = forms.TypedChoiceField(choices=RATINGS, coerce=int)
    text = forms.CharField(max_length=TEXT_CHARACTERS, widget=LINES, help_text="Everybody reads it.")
    field_order = ("rating", "text")

    def say(self, sale: str, agent: str, metadata: Metadata) -> None:
        typed = self.cleaned_data
        commands.write_review(sale, agent=agent, rating=typed["rating"], text=typed["text"], metadata=metadata)


class ChangeForm(ReviewForm):
    """`seen` is the version of the review that the page has shown."""

    title, submit = "Change your review, once", "Change it for good"
    seen = forms.IntegerField(widget=forms.HiddenInput)

    def say(self, sale: str, agent: str, metadata: Metadata) -> None:
        typed = self.cleaned_data
        said = {"rating": typed["rating"], "text": typed["text"]}
        commands.change_review(sale, agent=agent, metadata=metadata, expected=typed["seen"], **said)


class ReplyForm(SayForm):
    title, submit = "Answer the review, once", "Publish the answer"
    seen = forms.IntegerField(widget=forms.HiddenInput)

    def say(self, sale: str, agent: str, metadata: Metadata) -> None:
        typed = self.cleaned_data
        commands.answer_review(sale, agent=agent, text=typed["text"], metadata=metadata, expected=typed["seen"])


def say_form(sale: Sale, review: Review | None, *, as_buyer: bool, typed: Any) -> SayForm | None:
    """Return the form for what a party may still say, bound to what it has typed; None where that is nothing."""
    if review is None:
        return ReviewForm(typed) if as_buyer and sale.status == Status.CAPTURED else None
    if review.removed_at is not None:
        return None
    seen = {"seen": review.stream_version}
    if as_buyer:
        said = {"rating": review.rating, "text": review.text}
        return None if review.changed_at else ChangeForm(typed, initial=seen | said)
    return None if review.answered_at else ReplyForm(typed, initial=seen)
