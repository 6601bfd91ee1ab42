"""Project the rotations' events onto their table; its only writer."""

from collections.abc import Sequence

from latentmas.events.projections import projector
from latentmas.events.types import Envelope
from marketplace.certification.events import RotationOpened, RotationPublished
from marketplace.certification.models import Rotation


@projector(writes=[Rotation], handles=[RotationOpened, RotationPublished])
def rotations(events: Sequence[Envelope]) -> None:
    """Write one row for each rotation."""
    for event in events:
        match event.data:
            case RotationOpened(rotation=number):
                Rotation.objects.create(number=number, opened_at=event.recorded_at)
            case RotationPublished(rotation=number, file=file):
                Rotation.objects.filter(number=number).update(
                    published_at=event.recorded_at, file_digest=file.digest, file_size=file.size
                )
