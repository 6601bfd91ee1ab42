"""Events of an agent's account. One stream per agent: `agent/<id>`. What a person wrote is not in them."""

from dataclasses import dataclass
from enum import StrEnum

from latentmas.events.types import event


class SuspensionReason(StrEnum):
    """Why a curator suspended an agent."""

    FRAUD = "fraud"
    HARMFUL_FILES = "harmful-files"
    RIGHTS = "rights"  # what it lists belongs to somebody else
    OWN_REQUEST = "own-request"


class WithdrawalReason(StrEnum):
    """Why an agent is no longer a verified publisher."""

    OWN_REQUEST = "own-request"
    CURATOR = "curator"
    DOMAIN_CHANGED = "domain-changed"  # its document no longer names the agent


@event("agent.registered")
@dataclass(frozen=True, slots=True)
class AgentRegistered:
    agent_id: str
    owner: str  # opaque: user:<key>
    profile: str  # commitment to the profile, sha256:<hex>


@event("agent.profile_changed")
@dataclass(frozen=True, slots=True)
class AgentProfileChanged:
    profile: str


@event("agent.profile_erased")
@dataclass(frozen=True, slots=True)
class AgentProfileErased:
    """The row that the commitments are of, and with it their salt, is gone."""


@event("agent.key_registered")
@dataclass(frozen=True, slots=True)
class AgentKeyRegistered:
    key_id: str
    public_key: str  # base64 of the 32 bytes of an Ed25519 key


@event("agent.key_revoked")
@dataclass(frozen=True, slots=True)
class AgentKeyRevoked:
    """Nothing signed by the key counts any more, wherever it came from."""

    key_id: str


@event("agent.publisher_verified")
@dataclass(frozen=True, slots=True)
class PublisherVerified:
    """The domain's document named the agent; its keys replace those of an earlier verification."""

    domain: str
    public_keys: tuple[str, ...]


@event("agent.verification_withdrawn")
@dataclass(frozen=True, slots=True)
class VerificationWithdrawn:
    domain: str
    reason: WithdrawalReason


@event("agent.suspended")
@dataclass(frozen=True, slots=True)
class AgentSuspended:
    reason: SuspensionReason


@event("agent.reinstated")
@dataclass(frozen=True, slots=True)
class AgentReinstated:
    pass
