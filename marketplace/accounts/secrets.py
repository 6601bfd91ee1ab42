"""The format of API tokens, `lmas_<id>_<secret>`. The id finds the row, the secret is compared in constant time.

The prefix lets scanners for leaked secrets recognise a token. Only the SHA-256 of the whole token is kept; a slow hash
would protect nothing, as nobody guesses 256 random bits.
"""

import hashlib
import hmac
import re
import secrets

PREFIX = "lmas_"
ID_BYTES = 6
SECRET_BYTES = 32
TOKEN = re.compile(rf"{PREFIX}([0-9a-f]{{{2 * ID_BYTES}}})_[A-Za-z0-9_-]{{43}}", re.ASCII)


def new_token() -> tuple[str, str]:
    """Return a fresh id and the token that begins with it."""
    identifier = secrets.token_hex(ID_BYTES)
    return identifier, f"{PREFIX}{identifier}_{secrets.token_urlsafe(SECRET_BYTES)}"


def id_of(token: str) -> str | None:
    """Return the id in a token, None for anything that does not have its format."""
    match = TOKEN.fullmatch(token)
    return match[1] if match else None


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def fits(token: str, digest: str) -> bool:
    """Return whether the digest is the token's, in a time that does not depend on where they differ."""
    return hmac.compare_digest(digest_of(token), digest)
