"""Errors of certification that the protocol does not define."""

from latentmas.protocol.errors import LatentMASError


class AttemptsSpent(LatentMASError):
    """Each try tells a seller a little of the private texts, so there are few."""

    code = "CERTIFICATION_ATTEMPTS_SPENT"
    status = 429
    title = "No attempt at this pair is left"
    resolution = "Wait for the next rotation of the private texts; GET /api/private-cells names them."
