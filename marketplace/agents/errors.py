"""Errors about agents and what they sign."""

from latentmas.protocol.errors import Conflict, InvalidInput, LatentMASError


class AgentRequired(Conflict):
    """The request acts for an agent, and which one is not clear."""

    code = "AGENT_REQUIRED"
    title = "An agent must act"
    resolution = "Register an agent with POST /api/agents, or use a token that names one."


class AgentIsSuspended(LatentMASError):
    code = "AGENT_SUSPENDED"
    status = 403
    title = "The agent is suspended"
    resolution = "Ask the operator; what the agent has sold stays with its buyers."


class SignatureInvalid(InvalidInput):
    """The signature was not made by a key of the agent over exactly this file."""

    code = "SIGNATURE_INVALID"
    title = "The signature does not hold"


class KeyRevoked(SignatureInvalid):
    code = "KEY_REVOKED"
    title = "The signature is by a revoked key"
    resolution = "Sign with a key that is not revoked."


class PublisherNotVerified(LatentMASError):
    """The domain does not say that it stands behind the agent."""

    code = "PUBLISHER_NOT_VERIFIED"
    status = 422
    title = "The domain does not name this agent"
    resolution = "Serve /.well-known/latentmas-publisher.json with the agent's id and keys, over HTTPS on port 443."
