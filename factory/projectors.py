"""Project the events of calibration packs onto their table; its only writer."""

from collections.abc import Sequence
from dataclasses import asdict

from factory.events import PackRecorded, PackRefused
from factory.models import CalibrationPack
from latentmas.events.projections import projector
from latentmas.events.types import Envelope


@projector(writes=[CalibrationPack], handles=[PackRecorded, PackRefused])
def packs(events: Sequence[Envelope]) -> None:
    """A pack is recorded before it is refused, so all new rows may be written first."""
    recorded = [each for each in events if isinstance(each.data, PackRecorded)]
    CalibrationPack.objects.bulk_create(
        [CalibrationPack(**asdict(each.data), recorded_at=each.recorded_at) for each in recorded]
    )
    for each in events:
        if isinstance(each.data, PackRefused):
            CalibrationPack.objects.filter(digest=each.data.digest).update(refused=each.data.reason)
