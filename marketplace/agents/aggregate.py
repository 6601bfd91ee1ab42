"""The agent aggregate: the state of a stream `agent/<id>`, and the events that each command appends. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from latentmas.events.commands import Aggregate
from latentmas.events.types import Envelope
from latentmas.protocol.errors import Conflict, InvalidInput, NotFound
from marketplace.agents.errors import AgentIsSuspended
from marketplace.agents.events import (
    AgentKeyRegistered,
    AgentKeyRevoked,
    AgentProfileChanged,
    AgentProfileErased,
    AgentRegistered,
    AgentReinstated,
    AgentSuspended,
    PublisherVerified,
    SuspensionReason,
    VerificationWithdrawn,
    WithdrawalReason,
)
from marketplace.agents.keys import key_id_of

MAX_KEYS = 8  # of one kind


@dataclass(frozen=True, slots=True)
class AgentState:
    """What holds of an agent. Keys are base64 by key id; a revoked id is in `revoked` for good."""

    owner: str | None = None  # None: not registered
    profile: str | None = None
    registered_keys: Mapping[str, str] = field(default_factory=dict)
    domain: str | None = None
    domain_keys: Mapping[str, str] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    suspended: SuspensionReason | None = None

    @property
    def keys(self) -> dict[str, str]:
        """The keys that the agent may sign with."""
        known = {**self.domain_keys, **self.registered_keys}
        return {key_id: key for key_id, key in known.items() if key_id not in self.revoked}


def evolve(state: AgentState, event: Envelope) -> AgentState:
    match event.data:
        case AgentRegistered(owner=owner, profile=profile):
            return replace(state, owner=owner, profile=profile)
        case AgentProfileChanged(profile=profile):
            return replace(state, profile=profile)
        case AgentProfileErased():
            return replace(state, profile=None)
        case AgentKeyRegistered(key_id=key_id, public_key=key):
            return replace(state, registered_keys={**state.registered_keys, key_id: key})
        case AgentKeyRevoked(key_id=key_id):
            return replace(state, revoked=state.revoked | {key_id})
        case PublisherVerified(domain=domain, public_keys=keys):
            return replace(state, domain=domain, domain_keys={key_id_of(key): key for key in keys})
        case VerificationWithdrawn():
            return replace(state, domain=None, domain_keys={})
        case AgentSuspended(reason=reason):
            return replace(state, suspended=reason)
        case AgentReinstated():
            return replace(state, suspended=None)
    return state


AGENT = Aggregate("agent", AgentState(), evolve)


def decide_register(state: AgentState, registered: AgentRegistered) -> Sequence[object]:
    """Open the account. Raises Conflict."""
    if state.owner is not None:
        raise Conflict(f"the agent {registered.agent_id} exists already")
    return (registered,)


def decide_profile(state: AgentState, *, profile: str) -> Sequence[object]:
    """Commit to a new profile. Raises NotFound or AgentIsSuspended."""
    _check_active(state)
    return (AgentProfileChanged(profile),)


def decide_erase(state: AgentState) -> Sequence[object]:
    """Record that the profile is erased, once. Raises NotFound."""
    _check_known(state)
    return () if state.profile is None else (AgentProfileErased(),)


def decide_key(state: AgentState, *, public_key: str) -> Sequence[object]:
    """Let the agent sign with one more key. Raises NotFound, AgentIsSuspended, InvalidInput or Conflict."""
    _check_active(state)
    key_id = key_id_of(public_key)
    if key_id in state.revoked:
        raise Conflict(f"the key {key_id} is revoked, for good", resolution="Make a new key.")
    if key_id in state.registered_keys:
        return ()
    if len(set(state.registered_keys) - state.revoked) >= MAX_KEYS:
        raise Conflict(f"the agent has {MAX_KEYS} keys, the limit", resolution="Revoke one first.")
    return (AgentKeyRegistered(key_id, public_key),)


def decide_revoke_key(state: AgentState, *, key_id: str) -> Sequence[object]:
    """Revoke a key, for good; a second time records nothing. Raises NotFound."""
    _check_known(state)
    if key_id in state.revoked:
        return ()
    if key_id not in state.keys:
        raise NotFound(f"the agent has no key {key_id!r}", resolution="GET /api/agents/{id} names its keys.")
    return (AgentKeyRevoked(key_id),)


def decide_verify(state: AgentState, *, domain: str, public_keys: Sequence[str]) -> Sequence[object]:
    """Record what the domain's document said; the same again records nothing.

    Raises NotFound, AgentIsSuspended or InvalidInput.
    """
    _check_active(state)
    if not 1 <= len(public_keys) <= MAX_KEYS:
        raise InvalidInput(f"the document has {len(public_keys)} keys; it must have 1 to {MAX_KEYS}", field="keys")
    keys = {key_id_of(key): key for key in public_keys}
    if (state.domain, dict(state.domain_keys)) == (domain, keys):
        return ()
    return (PublisherVerified(domain, tuple(keys.values())),)


def decide_withdraw(state: AgentState, *, reason: WithdrawalReason) -> Sequence[object]:
    """End the verification. Raises NotFound or Conflict."""
    _check_known(state)
    if state.domain is None:
        raise Conflict("the agent is not a verified publisher")
    return (VerificationWithdrawn(state.domain, reason),)


def decide_suspend(state: AgentState, *, reason: SuspensionReason) -> Sequence[object]:
    """Keep the agent from acting; a second time records nothing. Raises NotFound."""
    _check_known(state)
    return () if state.suspended is reason else (AgentSuspended(reason),)


def decide_reinstate(state: AgentState) -> Sequence[object]:
    """Let a suspended agent act again. Raises NotFound."""
    _check_known(state)
    return () if state.suspended is None else (AgentReinstated(),)


def _check_known(state: AgentState) -> None:
    if state.owner is None:
        raise NotFound("there is no such agent")


def _check_active(state: AgentState) -> None:
    _check_known(state)
    if state.suspended is not None:
        raise AgentIsSuspended(f"the agent is suspended: {state.suspended.value}", reason=state.suspended.value)
