"""Events of certificates' signatures. One stream per version: `certificate/<listing id>/<version>`."""

from dataclasses import dataclass
from datetime import datetime

from latentmas.events.types import event
from latentmas.protocol.dsse import DsseEnvelope


@event("certificate.signed")
@dataclass(frozen=True, slots=True)
class CertificateSigned:
    """What was decided at `issued_at`, signed."""

    listing_id: str
    version: str
    issued_at: datetime
    key_id: str
    envelope: DsseEnvelope
