"""Erasable tables of what persons write: each app that records such texts has one of its own.

A row is never changed, only deleted, and deleting is an event: a projector that reads these rows therefore makes the
same of the same events.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import models

from latentmas.protocol.commitments import commitment, new_salt
from marketplace.texts.free_text import FreeText, texts_in

ERASED = "(erased)"
ERASED_AT_ONCE = 200  # commitments in one event, which has at most 32 KiB
Shown = Mapping[FreeText, str]


class ErasableText(models.Model):
    """What a person wrote: an ordinary table, so that it can be erased; `salt` opens the commitment."""

    commitment = models.CharField(max_length=71, primary_key=True)
    text = models.TextField()
    salt = models.CharField(max_length=32)

    class Meta:
        abstract = True


@dataclass(frozen=True, slots=True)
class Texts:
    """An app's erasable table; `subject` is the column that says what a text is about."""

    table: type[ErasableText]
    subject: str

    def seal(self, subject: str, events: Iterable[Any]) -> list[Any]:
        """Keep the plain texts of events that are about to be recorded; return the events as they commit to them."""
        kept = []
        for event in events:
            plain = {name: text.plain for name, text in texts_in(event).items() if text.plain}
            kept.append(replace(event, **{name: self.keep(subject, text) for name, text in plain.items()}))
        return kept

    def read(self, texts: Iterable[FreeText]) -> dict[FreeText, str]:
        """Return each text, ERASED where its row is gone; one query."""
        wanted = set(texts)
        rows = self._rows().filter(commitment__in={each.commitment for each in wanted if each.commitment})
        kept = dict(rows.values_list("commitment", "text"))
        return {
            each: each.plain if each.plain is not None else kept.get(each.commitment or "", ERASED) for each in wanted
        }

    def read_of(self, events: Sequence[object]) -> dict[FreeText, str]:
        """Return the texts of events."""
        found = [text for event in events for text in texts_in(event).values()]
        return self.read(found) if found else {}

    def erase(self, subject: str) -> list[str]:
        """Delete every text about a subject; return what committed to them, in order."""
        rows = self._rows().filter(**{self.subject: subject})
        gone = list(rows.order_by("commitment").values_list("commitment", flat=True))
        rows.delete()
        return gone

    def keep(self, subject: str, text: str) -> FreeText:
        """Keep one text, and return it as an event commits to it."""
        salt = new_salt()
        known = {"commitment": commitment(text, salt=salt), "text": text, "salt": salt}
        return FreeText(commitment=self._rows().create(**known, **{self.subject: subject}).commitment)

    def _rows(self) -> "models.QuerySet[Any]":
        return self.table._default_manager.all()


def batches(commitments: Sequence[str]) -> list[tuple[str, ...]]:
    """Return what was erased in tuples that fit into an event."""
    return [tuple(commitments[at : at + ERASED_AT_ONCE]) for at in range(0, len(commitments), ERASED_AT_ONCE)]


def show(row: Any, texts: Shown, **columns: FreeText) -> None:
    """Copy texts into columns of a projection's row, and remember in its column `texts` by what they are erased."""
    for column, text in columns.items():
        setattr(row, column, texts[text])
    row.texts = row.texts | {column: text.commitment for column, text in columns.items() if text.commitment}


def erase(rows: Iterable[Any], commitments: Iterable[str]) -> None:
    """Take out of projections' rows what was erased."""
    gone = set(commitments)
    for row in rows:
        for column, sealed in row.texts.items():
            if sealed in gone:
                setattr(row, column, ERASED)
