"""Artefacts to work with: versions of invented files, which nothing opens."""

from uuid import uuid4

from latentmas import blobs
from latentmas.events.commands import execute
from latentmas.events.types import Metadata
from latentmas.protocol.money import Money
from latentmas.protocol.quality import Interval
from marketplace.artefacts import decisions
from marketplace.artefacts.aggregate import ARTEFACT
from marketplace.artefacts.commands import change, record_screening
from marketplace.artefacts.events import ArtefactListed, Contents, Parent, Terms, VersionPublished
from marketplace.artefacts.lineage import ancestors_of, decide_parents
from marketplace.artefacts.texts import TEXTS
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.lifecycle.commands import By
from marketplace.sales.goods import Kind
from marketplace.texts.free_text import FreeText
from tests.marketplace.sample import METADATA, SOURCE

TERMS = Terms(Money(500, "USD"))
RETENTION = Interval(0.97, 0.95, 0.99)


def contents(**known: object) -> Contents:
    return Contents(
        **{
            "model": SOURCE,
            "weights": "sha256:" + "a" * 64,
            "tokens": 40,
            "width": 11520,
            "method": "raw",
            "raw_bytes": 921600,
            "coded_bytes": 40000,
            "layers": 30,
            "heads": 3,
            "head_dim": 64,
            "next_position": 40,
        }
        | known  # type: ignore[arg-type]
    )


def listed(seller: str, *, kind: Kind = Kind.MEMORY, **known: object) -> str:
    """List an artefact without a version; return its id."""
    made = ArtefactListed(
        **{
            "artefact_id": str(uuid4()),
            "kind": kind,
            "model": SOURCE,
            "seller": seller,
            "title": FreeText("Minutes of a meeting"),
            "description": FreeText("What was agreed."),
            "terms": TERMS,
        }
        | known  # type: ignore[arg-type]
    )
    execute(
        ARTEFACT,
        made.artefact_id,
        lambda state: TEXTS.seal(made.artefact_id, decisions.decide_list(state, made)),
        metadata=METADATA,
    )
    return made.artefact_id


def publish(artefact_id: str, version: str = "1.0.0", *, seller: str | None = None, **known: object) -> None:
    """Publish a version of a file with invented contents."""
    data = f"{artefact_id} {version}".encode()
    published = VersionPublished(version, StoredFile(blobs.put_bytes(data), len(data)), contents(**known), None)
    change(
        artefact_id,
        lambda state, agent: decisions.decide_publish(state, agent, published=published, rights=FreeText("My own.")),
        By(seller, METADATA),
    )


def screen(artefact_id: str, version: str = "1.0.0", **found: object) -> None:
    passed = {"uniqueness": 0.8, "duplicate_of": None, "findings": (), "retention": RETENTION}
    record_screening(
        artefact_id,
        version=version,
        metadata=Metadata("job:test"),
        **passed | found,  # type: ignore[arg-type]
    )


def on_sale(seller: str, **known: object) -> str:
    """List an artefact with one version on offer; return its id."""
    artefact_id = listed(seller, **known)
    publish(artefact_id)
    screen(artefact_id)
    return artefact_id


def declare(artefact_id: str, seller: str, *parents: tuple[str, int]) -> None:
    named = tuple(Parent(*each) for each in parents)
    change(
        artefact_id,
        lambda state, agent: decide_parents(
            state,
            agent,
            parents=named,
            ancestors=[each.artefact_id for each in ancestors_of(each.artefact_id for each in named)],
        ),
        By(seller, METADATA),
    )
