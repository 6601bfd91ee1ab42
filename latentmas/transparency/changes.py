"""Which events of signing keys the public may know of: all."""

from latentmas.events.changes import everybody_may_know
from latentmas.transparency.events import KeyCreated, KeyRetired, KeyRevoked

everybody_may_know(KeyCreated, KeyRetired, KeyRevoked)
