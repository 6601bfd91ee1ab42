"""Report a listing, and resolve or erase a report."""

from collections.abc import Sequence
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from latentmas.events.transactions import transact
from latentmas.events.types import Metadata
from latentmas.protocol.errors import Conflict, InvalidInput
from marketplace.curation.models import MAX_TEXT, Kind, Outcome, Report
from marketplace.listings.lifecycle.commands import erase_texts
from marketplace.listings.models import Listing

OPEN_REPORTS = 20  # of one account


def report_listing(listing: Listing, reporter: User, *, kind: Kind, text: str) -> Report:
    """Put a report into the queue of the curators.

    Raises InvalidInput, or Conflict where the reporter's last one about this listing, or too many others, are open.
    """
    _check("text", text)
    mine = Report.objects.filter(reporter=reporter, outcome=None)
    if mine.count() >= OPEN_REPORTS:
        raise Conflict(
            f"{OPEN_REPORTS} reports of yours are open, the limit", resolution="Wait until a curator has answered one."
        )
    try:
        with transaction.atomic():
            return Report.objects.create(
                id=str(uuid4()),
                listing_id=listing.id,
                reporter=reporter,
                kind=kind,
                text=text.strip(),
                created_at=timezone.now(),
            )
    except IntegrityError as error:
        raise Conflict("your last report about this listing is still open") from error


def resolve_report(report: Report, curator: User, *, outcome: Outcome, note: str) -> None:
    """Answer an open report. What follows for the listing is an action of its own. Raises InvalidInput or Conflict."""
    _check("note", note)
    answer = {"outcome": outcome, "note": note.strip(), "resolved_by": curator, "resolved_at": timezone.now()}
    if Report.objects.filter(id=report.id, outcome=None).update(**answer) != 1:
        raise Conflict(f"the report {report.id} is resolved already")


def erase_written(listing_id: str, *, metadata: Metadata) -> int:
    """Erase what persons wrote about a listing, in reports and their answers too, for good; return how many texts."""

    def work() -> int:
        recorded = erase_texts(listing_id, metadata=metadata)
        written = Report.objects.filter(listing_id=listing_id).exclude(text="", note="")
        return sum(len(each.data.commitments) for each in recorded) + erase_reports(
            list(written.values_list("id", flat=True))
        )

    return transact(work)


def erase_reports(identifiers: Sequence[str]) -> int:
    """Erase what was written in reports and in their answers, for good; return how many were changed."""
    return Report.objects.filter(id__in=identifiers).update(text="", note="")


def _check(name: str, text: str) -> None:
    if not 1 <= len(text.strip()) <= MAX_TEXT or "\x00" in text:
        raise InvalidInput(f"the {name} has 1 to {MAX_TEXT} characters, none of them NUL", field=name)
