"""Errors as data: a code, a sentence for people, an HTTP status and facts for machines (specification appendix C.2)."""

from collections.abc import Mapping
from typing import ClassVar


class LatentMASError(Exception):
    """Base of every error a user can cause. `code` never changes once published.

    `headers` are of its answer over HTTP, `members` of its problem document beside the usual ones; few errors have any.
    """

    code: ClassVar[str] = "ERROR"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request could not be carried out"
    resolution: ClassVar[str] = ""
    retry_after: ClassVar[int | None] = None  # seconds, where waiting helps

    def __init__(self, message: str, *, resolution: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.advice = self.resolution if resolution is None else resolution
        self.facts: Mapping[str, object] = facts
        self.headers: Mapping[str, str] = {}
        self.members: Mapping[str, object] = {}


class InvalidInput(LatentMASError):
    """A value is malformed; `field` in the facts names it where one field is to blame."""

    code = "INVALID_INPUT"
    status = 422
    title = "Invalid input"


class NotFound(LatentMASError):
    code = "NOT_FOUND"
    status = 404
    title = "Not found"


class Conflict(LatentMASError):
    """The thing exists already, or was changed by somebody else."""

    code = "CONFLICT"
    status = 409
    title = "Conflict"


class TooLarge(LatentMASError):
    code = "TOO_LARGE"
    status = 413
    title = "Too large"


class StorageUnavailable(LatentMASError):
    """A file could not be written or read; nothing was left half-written."""

    code = "STORAGE_UNAVAILABLE"
    status = 507
    title = "Storage unavailable"


class QueueUnavailable(LatentMASError):
    """Work cannot be handed to a worker now; none was started."""

    code = "QUEUE_UNAVAILABLE"
    status = 503
    title = "The work queue is unavailable"
    resolution = "Send the request again after a while."
    retry_after = 30


class DeadlineExceeded(LatentMASError):
    """The work took longer than work of its kind may."""

    code = "DEADLINE_EXCEEDED"
    status = 504
    title = "The deadline has passed"
    resolution = "Ask for less at a time, or again when less is waiting."


class StorageAway(StorageUnavailable):
    """The storage itself cannot be reached or fails; nothing was changed, and later it may answer."""

    status = 503
    title = "Storage does not answer"
    resolution = "Send the request again."
    retry_after = 30


class WMatrixNotFound(LatentMASError):
    code = "W_MATRIX_NOT_FOUND"
    status = 404
    title = "No W-Matrix for this model pair"
    resolution = "Use the fallback method: let the target model read the text itself."


class DimensionMismatch(LatentMASError):
    code = "DIMENSION_MISMATCH"
    status = 422
    title = "KV-cache dimensions are incompatible"
    resolution = "Regenerate the W-Matrix for these models."


class QualityBelowThreshold(LatentMASError):
    code = "QUALITY_BELOW_THRESHOLD"
    status = 422
    title = "Alignment quality is too low"
    resolution = "Try a different method, a larger calibration corpus or another model pair."


class ModelNotSupported(LatentMASError):
    code = "MODEL_NOT_SUPPORTED"
    status = 404
    title = "The model is not supported"
    resolution = "Request its addition to the model registry."
