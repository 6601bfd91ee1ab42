"""Project the events of calibration packs onto their table; its only writer."""

from collections.abc import Sequence
from dataclasses import asdict

from factory.events import PackRecorded
from factory.models import CalibrationPack
from latentmas.events.projections import projector
from latentmas.events.types import Envelope


@projector(writes=[CalibrationPack], handles=[PackRecorded])
def packs(events: Sequence[Envelope]) -> None:
    CalibrationPack.objects.bulk_create(
        [CalibrationPack(**asdict(each.data), recorded_at=each.recorded_at) for each in events]
    )
