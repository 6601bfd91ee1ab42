"""What can be wrong with an idempotency key."""

from latentmas.protocol.errors import Conflict, InvalidInput


class IdempotencyKeyReused(InvalidInput):
    """The key stands for another request of the same account."""

    code = "IDEMPOTENCY_KEY_REUSED"
    title = "The key was used for another request"
    resolution = "Send a new key with a new request; repeat a request unchanged under its own."


class RequestInFlight(Conflict):
    code = "REQUEST_IN_FLIGHT"
    title = "The same request is being carried out"
    resolution = "Send it again in a moment."
    retry_after = 1


class AnswerNotKept(Conflict):
    """The request was carried out; its answer held a secret or a file, of which no copy is kept."""

    code = "ANSWER_NOT_KEPT"
    title = "Done before, and the answer is not kept"
    resolution = "Look at the resource itself, or make a new one under a new key."
