"""Artefacts as goods: what the sales ask of every kind."""

from dataclasses import dataclass

from latentmas import blobs
from latentmas.protocol.marks import marked
from marketplace.artefacts import queries
from marketplace.artefacts.delivery_marks import mark_of
from marketplace.artefacts.errors import ArtefactNotOffered
from marketplace.artefacts.models import ArtefactVersion
from marketplace.artefacts.offering import offer_of
from marketplace.artefacts.preparing import PREPARE
from marketplace.sales.goods import Delivery, Form, Kind, Offer, Prepared, sells


@dataclass(frozen=True, slots=True)
class ArtefactGoods:
    """One of the four kinds."""

    kind: Kind

    def offer(self, item: str, version: str | None, delivery: Delivery, *, buyer: str | None) -> Offer:
        """Return what is on sale; None for the version is the newest one on offer.

        Raises NotFound, ArtefactIsQuarantined, ArtefactWithdrawnError, ArtefactNotOffered and what `offer_of` does.
        """
        del buyer  # everybody sees the same
        row = queries.get_artefact(self.kind, item)
        return offer_of(row, queries.offered_version(row, version), delivery)

    def prepare(self, offer: Offer, delivery: Delivery, *, sale: str) -> Prepared:
        """Return the artefact of a sale, with its signed mark; the same again for the same sale.

        Raises as `offer` does where nothing of it is sold any more, what the exchange's quality gate does, and
        SigningKeyMissing.
        """
        row = queries.get_artefact(self.kind, offer.item)
        version = queries.offered_version(row, offer.version)
        if version.file_digest != offer.digest:
            raise ArtefactNotOffered(f"version {offer.version} is another file than the one that was quoted")
        made = PREPARE[self.kind](version, delivery)
        data = marked(made.data, mark_of(offer, sale=sale))
        return Prepared(
            digest=blobs.put_bytes(data),
            size=len(data),
            name=_name(version, delivery, self.kind),
            tokens=made.tokens,
            helper=made.helper,
            report=made.report,
        )


def _name(version: ArtefactVersion, delivery: Delivery, kind: Kind) -> str:
    contents = version.contents
    model = delivery.target_model if delivery.form is Form.ALIGNED else contents["model"]
    as_published = kind is Kind.MEMORY and delivery.form is Form.COMPRESSED and contents["method"] != "raw"
    return f"{model}--{version.artefact_id}--{version.version}.{'kvz' if as_published else 'safetensors'}"


def register() -> None:
    """Answer for the four kinds."""
    for kind in PREPARE:
        sells(kind, ArtefactGoods(kind))
