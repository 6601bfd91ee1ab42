"""Which events of certification the public may know of: when private texts change; not how often a seller has tried."""

from latentmas.events.changes import everybody_may_know
from marketplace.certification.events import RotationOpened, RotationPublished

everybody_may_know(RotationOpened, RotationPublished)
