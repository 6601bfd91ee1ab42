"""Which events of models the public may know of: the registry is public."""

from latentmas.events.changes import everybody_may_know
from latentmas.registry import events

everybody_may_know(
    events.ModelRegistered,
    events.ModelFactsCorrected,
    events.ModelPopularityChanged,
    events.ModelActivated,
    events.ModelDeactivated,
)
