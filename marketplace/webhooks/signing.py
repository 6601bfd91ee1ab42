"""Standard Webhooks: secrets (`whsec_`), and the signature `v1` over id, time and body of a message."""

import base64
import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

PREFIX = "whsec_"
SECRET_BYTES = 32
PURPOSE = b"latentmas.webhooks.secret"  # keeps the key apart from whatever else SECRET_KEY signs


class Unreadable(Exception):
    """A secret was encrypted under a key that is gone."""


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1,<base64>`, the HMAC-SHA256 of `id.timestamp.body` under the secret's bytes."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, b"%s.%d.%s" % (message_id.encode(), timestamp, body), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def sealed(secret: str) -> str:
    """Return the secret encrypted, as the database keeps it: signing needs the secret itself, not a digest of it."""
    return _box().encrypt(secret.encode()).decode()


def opened(stored: str) -> str:
    """Return the secret that `sealed` has encrypted, under this SECRET_KEY or a fallback. Raises Unreadable."""
    try:
        return _box().decrypt(stored.encode()).decode()
    except InvalidToken as error:
        raise Unreadable("neither SECRET_KEY nor a fallback opens it") from error


def resealed(stored: str) -> str:
    """Return the secret encrypted under today's SECRET_KEY. Raises Unreadable."""
    return sealed(opened(stored))


def _box() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])


def _derived(key: str) -> bytes:
    return hmac.new(key.encode(), PURPOSE, hashlib.sha256).digest()
