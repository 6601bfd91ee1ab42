"""Reads of artefacts. What has passed no screening is seen by its seller and by curators alone."""

import re
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from latentmas.protocol.errors import NotFound
from marketplace.artefacts.errors import (
    ArtefactIsQuarantined,
    ArtefactNotOffered,
    ArtefactWithdrawnError,
    NotYourArtefact,
)
from marketplace.artefacts.models import Artefact, ArtefactParent, ArtefactVersion, Screening
from marketplace.listings.visibility import NOBODY, Viewer
from marketplace.sales.goods import Kind

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
VERSION = re.compile(r"[0-9.]{5,32}", re.ASCII)
ORDER = ("price_amount", "id")  # the cheapest first
DETAILS = ("description", "texts", "withheld_reason")  # which a list does not show


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of a list; None is "any". Prices in minor units, tokens those that a memory holds."""

    model: str | None = None
    seller: str | None = None
    price_max: int | None = None
    tokens_min: int | None = None
    tokens_max: int | None = None


def on_sale(kind: Kind, filters: Filters) -> QuerySet[Artefact]:
    """Return what is on offer of a kind, the cheapest first."""
    given = {
        "model": filters.model,
        "seller": filters.seller,
        "price_amount__lte": filters.price_max,
        "tokens__gte": filters.tokens_min,
        "tokens__lte": filters.tokens_max,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    rows = Artefact.objects.filter(kind=kind, version__isnull=False, **wanted).order_by(*ORDER)
    return rows.defer(*DETAILS)


def sold_by(agent: str) -> QuerySet[Artefact]:
    """Return all that an agent has ever listed, whatever became of it; what has changed last first."""
    return Artefact.objects.filter(seller=agent).order_by("-updated_at", "id")


def models_on_sale(kind: Kind) -> list[str]:
    """Return the names of the models of what is on offer of a kind, in order."""
    rows = Artefact.objects.filter(kind=kind, version__isnull=False).order_by("model")
    return list(rows.values_list("model", flat=True).distinct())


def get_artefact(kind: Kind, artefact_id: str, viewer: Viewer = NOBODY) -> Artefact:
    """Return an artefact, on offer or not. Raises NotFound, or ArtefactIsQuarantined."""
    passed = ArtefactVersion.objects.filter(artefact_id=OuterRef("id"), screening=Screening.PASSED)
    rows = Artefact.objects.filter(id=artefact_id, kind=kind) if ID.fullmatch(artefact_id) else Artefact.objects.none()
    row = rows.annotate(shown=Exists(passed)).first()
    if row is None or not (row.shown or sees_all(row, viewer)):
        raise NotFound(f"there is no {kind.value} {artefact_id[:60]!r}", resolution="The list names what is on sale.")
    if row.quarantined_at is not None and not sees_all(row, viewer):
        raise _quarantined(row)
    return row


def versions_of(row: Artefact, viewer: Viewer = NOBODY) -> list[ArtefactVersion]:
    """Return the versions, the newest first; those that have not passed their screening only to who sees them."""
    rows = list(ArtefactVersion.objects.filter(artefact_id=row.id).order_by("-major", "-minor", "-patch"))
    return rows if sees_all(row, viewer) else [each for each in rows if each.offered]


def parents_of(row: Artefact) -> list[ArtefactParent]:
    """Return what an artefact is made from."""
    return list(ArtefactParent.objects.filter(child_id=row.id).order_by("parent_id"))


def offered_version(row: Artefact, version: str | None = None) -> ArtefactVersion:
    """Return a version that is on offer, by default the newest one.

    Raises ArtefactIsQuarantined, ArtefactWithdrawnError or ArtefactNotOffered.
    """
    if row.quarantined_at is not None:
        raise _quarantined(row)
    if row.withdrawn_at is not None:
        raise ArtefactWithdrawnError(f"it was withdrawn on {row.withdrawn_at:%Y-%m-%d}: {row.withheld_reason}")
    number = row.version if version is None else version
    found = get_version(row, number) if number is not None and VERSION.fullmatch(number) else None
    if found is None or not found.offered:
        what = "no version" if version is None else f"the version {version[:32]!r} not"
        raise ArtefactNotOffered(f"of this {row.kind} {what} is on offer")
    return found


def get_version(row: Artefact, version: str) -> ArtefactVersion | None:
    """Return a version, whatever its screening says, or None."""
    return ArtefactVersion.objects.filter(id=f"{row.id}/{version}").first()


def newest_version(row: Artefact) -> ArtefactVersion:
    """Return the version with the highest number, whatever its screening says."""
    return ArtefactVersion.objects.filter(artefact_id=row.id).order_by("-major", "-minor", "-patch")[0]


def require_seller(row: Artefact, agent: str | None) -> None:
    """Raise NotYourArtefact for any other agent."""
    if row.seller != agent:
        raise NotYourArtefact("only the agent that sells it may change it")


def sees_all(row: Artefact, viewer: Viewer) -> bool:
    """Return whether the viewer sees what is not on offer."""
    return viewer.curator or row.seller in viewer.agents


def _quarantined(row: Artefact) -> ArtefactIsQuarantined:
    return ArtefactIsQuarantined(f"it is in quarantine since {row.quarantined_at:%Y-%m-%d}: {row.withheld_reason}")
