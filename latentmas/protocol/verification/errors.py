"""Why something is not to be believed."""

from enum import StrEnum

from latentmas.protocol.errors import LatentMASError


class Reason(StrEnum):
    NOTE_MALFORMED = "note_malformed"
    KEY_UNKNOWN = "key_unknown"  # no signature is by a key that is trusted here
    KEY_REVOKED = "key_revoked"
    SIGNATURE_INVALID = "signature_invalid"
    PROOF_INVALID = "proof_invalid"
    PROOF_MALFORMED = "proof_malformed"
    ENVELOPE_MALFORMED = "envelope_malformed"
    PAYLOAD_TYPE_UNKNOWN = "payload_type_unknown"
    STATEMENT_MALFORMED = "statement_malformed"
    FILE_DIFFERS = "file_differs"
    NOT_VALID_NOW = "not_valid_now"
    NOT_IN_LOG = "not_in_log"  # the proven event records something else
    CHECKPOINT_DIFFERS = "checkpoint_differs"
    WITNESSES_MISSING = "witnesses_missing"


class VerificationFailed(LatentMASError):
    """What was given does not prove what it claims; `reason` says which step failed."""

    code = "VERIFICATION_FAILED"
    status = 422
    title = "Verification failed"

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message, reason=reason.value)
        self.reason = reason
