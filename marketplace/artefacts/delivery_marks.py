"""Sign the mark that every delivered file carries: for which sale of which version it was made."""

from typing import Any

import msgspec

from latentmas.events.types import Metadata
from latentmas.protocol.canonical import canonical
from latentmas.protocol.dsse import IN_TOTO, sign_envelope
from latentmas.protocol.marks import PREDICATE_TYPE
from latentmas.transparency.events import Purpose
from latentmas.transparency.keys import signer
from marketplace.listings.certificates.statement import STATEMENT_TYPE
from marketplace.sales.goods import Offer


def mark_of(offer: Offer, *, sale: str) -> dict[str, Any]:
    """Return a DSSE envelope around an in-toto statement: its subject is the published file, its predicate the sale.

    Ed25519 is deterministic: the same sale has the same mark. Raises SigningKeyMissing or SigningKeyNotUsable.
    """
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": f"{offer.item}/{offer.version}", "digest": {"sha256": offer.digest.removeprefix("sha256:")}}
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"sale": sale, "kind": offer.kind.value, "item": offer.item, "version": offer.version},
    }
    signing = signer(Purpose.RECEIPT, metadata=Metadata(actor=f"sale:{sale}"))
    envelope = sign_envelope(canonical(statement), payload_type=IN_TOTO, key=signing.key, key_id=signing.key_id)
    return dict(msgspec.to_builtins(envelope))
