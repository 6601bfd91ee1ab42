"""Project the events of signing keys; the only writer of their table."""

from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.types import Envelope
from latentmas.transparency.events import KeyCreated, KeyRetired, KeyRevoked
from latentmas.transparency.models import SigningKey


@projector(writes=[SigningKey], handles=[KeyCreated, KeyRetired, KeyRevoked])
def project_signing_keys(events: Sequence[Envelope]) -> None:
    for event in events:
        row = SigningKey.objects.filter(key_id=event.data.key_id)
        match event.data:
            case KeyCreated() as created:
                SigningKey.objects.create(
                    key_id=created.key_id,
                    purpose=created.purpose.value,
                    name=created.name,
                    public_key=created.public_key,
                    created_at=event.recorded_at,
                )
            case KeyRetired():
                row.update(retired_at=event.recorded_at)
            case KeyRevoked() as revoked:
                row.update(revoked_at=event.recorded_at, revocation_reason=revoked.reason.value)
