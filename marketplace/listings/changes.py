"""Which events of listings the public may know of: every listing is public."""

from latentmas.events.changes import everybody_may_know
from marketplace.listings import events

everybody_may_know(
    events.ListingCreated,
    events.VersionPublished,
    events.VersionCertified,
    events.VersionRefused,
    events.VersionYanked,
)
