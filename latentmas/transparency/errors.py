"""What can go wrong when the log is sealed, proven or cosigned."""

from latentmas.protocol.errors import Conflict, LatentMASError, NotFound


class NotSealed(NotFound):
    """The position, size or tile lies beyond the last checkpoint."""

    code = "NOT_SEALED"
    title = "Not sealed yet"
    resolution = "Ask again after the next checkpoint; the schedule makes one every minute."


class SigningKeyMissing(LatentMASError):
    """This process has no private key for the purpose."""

    code = "SIGNING_KEY_MISSING"
    status = 503
    title = "There is no signing key here"


class SigningKeyNotUsable(Conflict):
    """The key is retired or revoked already, or serves another purpose."""

    code = "SIGNING_KEY_NOT_USABLE"
    title = "The signing key cannot be used for this"


class WitnessNotTrusted(LatentMASError):
    code = "WITNESS_NOT_TRUSTED"
    status = 403
    title = "No trusted witness signed this"
    resolution = "The operator lists the verifier keys of trusted witnesses in LOG_WITNESSES."


class CheckpointForked(Conflict):
    """A witness signed a tree of the same size with another root: one of the two was never shown to everybody."""

    code = "CHECKPOINT_FORKED"
    title = "The log has two trees of one size"
    resolution = "Keep both checkpoints, tell the operator, and run verify_log."
