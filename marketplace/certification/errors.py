"""Errors of certification that the protocol does not define."""

from latentmas.protocol.errors import LatentMASError
from marketplace.agents.errors import SignatureInvalid


class AttemptsSpent(LatentMASError):
    """Each try tells a seller a little of the private texts, so there are few."""

    code = "CERTIFICATION_ATTEMPTS_SPENT"
    status = 429
    title = "No attempt at this pair is left"
    resolution = "Wait for the next rotation of the private texts; GET /api/private-cells names them."


class RecertificationSignatureInvalid(SignatureInvalid):
    """The signature was not made by a key of the validator's agent over exactly this submission."""

    code = "RECERTIFICATION_SIGNATURE_INVALID"
    title = "The submission's signature does not hold"
    resolution = "Sign the digest in the facts with a key of the agent, or send no signature (docs/certification.md)."
