"""Calibration packs are public, and so is that they were recorded or refused. What a run of the factory did is not."""

from factory.events import PackRecorded, PackRefused
from latentmas.events.changes import everybody_may_know

everybody_may_know(PackRecorded, PackRefused)
