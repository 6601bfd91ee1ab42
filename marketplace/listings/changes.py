"""Which events of listings the public may know of: every listing is public."""

from latentmas.events.changes import everybody_may_know
from marketplace.listings import certification_events, events

everybody_may_know(
    events.ListingCreated,
    events.VersionPublished,
    events.VersionYanked,
    certification_events.VersionMeasured,
    certification_events.VersionCertified,
    certification_events.VersionRefused,
    certification_events.CertificateRevoked,
    certification_events.VersionRecertified,
)
