"""Every change of an artefact after it was published. Each appends to `artefact/<id>` or raises and changes nothing.

All raise NotFound for an artefact that is not there, NotYourArtefact, VersionConflict where it has moved on, and
ArtefactIsQuarantined or ArtefactWithdrawnError while nothing of it may change.
"""

from collections.abc import Callable
from typing import Any

from latentmas.events.commands import execute
from latentmas.events.transactions import transact
from latentmas.events.types import Metadata, Recorded
from latentmas.protocol.quality import Interval
from marketplace.artefacts import decisions
from marketplace.artefacts.aggregate import ARTEFACT, ArtefactState
from marketplace.artefacts.events import ArtefactTextsErased, Terms, VersionScreened
from marketplace.artefacts.texts import TEXTS
from marketplace.listings.lifecycle.commands import By
from marketplace.texts.erasable import batches


def record_screening(
    artefact_id: str,
    *,
    version: str,
    uniqueness: float | None,
    duplicate_of: str | None,
    findings: tuple[str, ...],
    retention: Interval | None,
    metadata: Metadata,
) -> list[Recorded]:
    """Record what a screening found: a duplicate or any finding refuses the version, otherwise it is on offer.

    The same again records nothing; another result replaces the one before. Raises NotFound or InvalidInput.
    """
    screened = VersionScreened(version, uniqueness, duplicate_of, findings, retention)
    return execute(
        ARTEFACT,
        artefact_id,
        lambda state: decisions.decide_screened(state, screened=screened),
        metadata=metadata,
    )


def change_price(artefact_id: str, *, terms: Terms, by: By) -> list[Recorded]:
    """Change the terms of later sales. Raises InvalidInput."""
    return change(artefact_id, decisions.decide_price, by, terms=terms)


def withdraw(artefact_id: str, *, reason: str, by: By) -> list[Recorded]:
    """End the offer for good. Raises InvalidInput."""
    return change(artefact_id, decisions.decide_withdraw, by, reason=reason)


def quarantine(artefact_id: str, *, reason: str, by: By) -> list[Recorded]:
    """Stop everything of an artefact, as a curator. Raises InvalidInput or Conflict."""
    return change(artefact_id, decisions.decide_quarantine, by, reason=reason)


def release(artefact_id: str, *, reason: str, by: By) -> list[Recorded]:
    """End a quarantine, as a curator. Raises InvalidInput or Conflict."""
    return change(artefact_id, decisions.decide_release, by, reason=reason)


def erase_texts(artefact_id: str, *, metadata: Metadata) -> list[Recorded]:
    """Erase everything that persons wrote about an artefact, for good; the log stays verifiable."""

    def work() -> list[Recorded]:
        erased = [ArtefactTextsErased(gone) for gone in batches(TEXTS.erase(artefact_id))]
        return execute(ARTEFACT, artefact_id, lambda _: erased, metadata=metadata)

    return transact(work)


def change(artefact_id: str, decide: Callable[..., decisions.Events], by: By, **what: Any) -> list[Recorded]:
    """Append what a decision about the artefact comes to, its texts sealed."""

    def decided(state: ArtefactState) -> list[object]:
        return TEXTS.seal(artefact_id, decide(state, by.agent, **what))

    return execute(ARTEFACT, artefact_id, decided, metadata=by.metadata, expected=by.expected)
