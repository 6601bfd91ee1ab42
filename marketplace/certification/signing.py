"""The signature of a recertification: by a key of the validator's agent, over a digest of what it submits."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from latentmas.protocol.canonical import canonical, plain
from marketplace.agents.errors import KeyRevoked, SignatureInvalid
from marketplace.agents.keys import RECERTIFICATION, signature_of
from marketplace.agents.queries import check_signature
from marketplace.certification.errors import RecertificationSignatureInvalid
from marketplace.listings.events.certification import VersionRecertified

SIGNED = ("version", "file", "suite", "instrument", "cells")


def submission_digest(submitted: VersionRecertified) -> str:
    """Return the SHA-256 of the submission as canonical JSON, its figures as shortest decimal text.

    All of it is in the event, so whoever reads the log can check the signature again.
    """
    document = {name: plain(getattr(submitted, name)) for name in SIGNED}
    return f"sha256:{hashlib.sha256(canonical(document)).hexdigest()}"


def sign(submitted: VersionRecertified, key: Ed25519PrivateKey) -> str:
    """Return the validator's signature as `<key id>:<base64>`."""
    return signature_of(key, submitted.validator, submission_digest(submitted), context=RECERTIFICATION)


def require_signed(submitted: VersionRecertified) -> None:
    """Raise unless a signature, where the submission has one, is by a key of its validator.

    Raises RecertificationSignatureInvalid, which names the digest that was to be signed, or KeyRevoked.
    """
    if submitted.signature is None:
        return
    digest = submission_digest(submitted)
    try:
        check_signature(submitted.validator, digest=digest, signature=submitted.signature, context=RECERTIFICATION)
    except KeyRevoked:
        raise
    except SignatureInvalid as error:
        raise RecertificationSignatureInvalid(error.message, field="signature", digest=digest) from error
