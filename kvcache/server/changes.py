"""Codec profiles are public, and so is that they were published."""

from kvcache.server.events import CodecProfilePublished
from latentmas.events.changes import everybody_may_know

everybody_may_know(CodecProfilePublished)
