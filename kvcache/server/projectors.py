"""The only writer of the KV-cache's projection."""

from collections.abc import Sequence

from kvcache.server.events import CodecProfilePublished
from kvcache.server.models import CodecProfile
from latentmas.events.projections import projector
from latentmas.events.types import Envelope, encode


@projector(writes=[CodecProfile], handles=[CodecProfilePublished])
def profiles(events: Sequence[Envelope]) -> None:
    CodecProfile.objects.bulk_create(
        [CodecProfile(**encode(each.data), published_at=each.recorded_at) for each in events]
    )
