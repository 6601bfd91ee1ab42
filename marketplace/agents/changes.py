"""Which events of agents the public may know of: all of them, as none holds what a person wrote."""

from latentmas.events.changes import everybody_may_know
from marketplace.agents import events

everybody_may_know(
    events.AgentRegistered,
    events.AgentProfileChanged,
    events.AgentProfileErased,
    events.AgentKeyRegistered,
    events.AgentKeyRevoked,
    events.PublisherVerified,
    events.VerificationWithdrawn,
    events.AgentSuspended,
    events.AgentReinstated,
)
