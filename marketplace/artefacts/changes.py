"""Which events of artefacts the public may know of: all of them, as none holds what the artefact holds."""

from latentmas.events.changes import everybody_may_know
from marketplace.artefacts import events

everybody_may_know(
    events.ArtefactListed,
    events.ParentsDeclared,
    events.VersionPublished,
    events.SegmentAppended,
    events.RightsStated,
    events.VersionScreened,
    events.PriceChanged,
    events.ArtefactWithdrawn,
    events.ArtefactQuarantined,
    events.ArtefactReleased,
    events.ArtefactTextsErased,
)
