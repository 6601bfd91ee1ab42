"""Ed25519 signatures (RFC 8032)."""

from latentmas.extras import MissingExtra

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError as error:
    raise MissingExtra("verify", __name__) from error


def is_signed(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Return whether the holder of the 32-byte public key signed exactly this message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
