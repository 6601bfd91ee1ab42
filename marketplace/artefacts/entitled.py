"""Who gets the file of a capability without paying again: its seller, and who has bought its major version."""

from latentmas.protocol.money import Money
from marketplace.artefacts.goods import ArtefactGoods
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.artefacts.offering import offer_of
from marketplace.listings.visibility import Viewer
from marketplace.sales.errors import PaymentRequired
from marketplace.sales.goods import Delivery, Kind, Prepared
from marketplace.sales.queries import entitlements


def entitled_file(row: Artefact, version: ArtefactVersion, viewer: Viewer) -> Prepared:
    """Return a version's file: to its seller as it was published, to a buyer with the mark of his purchase.

    Raises PaymentRequired.
    """
    if row.seller in viewer.agents:
        return Prepared(version.file_digest, version.file_size, f"{row.model}--{version.version}.safetensors")
    kind, whole = Kind(row.kind), Delivery()
    bought = entitlements(kind, [row.id], viewer.agents).filter(major=str(version.major)).first()
    if bought is None:
        raise PaymentRequired(row.kind, row.id, version.version, Money(row.price_amount, row.price_currency))
    return ArtefactGoods(kind).prepare(offer_of(row, version, whole), whole, sale=bought.sale)
