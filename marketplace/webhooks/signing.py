"""Standard Webhooks: secrets (`whsec_`), and the signature `v1` over id, time and body of a message."""

import base64
import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

PREFIX = "whsec_"
SECRET_BYTES = 32
PURPOSE = b"latentmas.webhooks.secret"  # keeps the key apart from whatever else SECRET_KEY signs


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
    """Return the secret that `sealed` has encrypted, under this SECRET_KEY or one of its fallbacks."""
    return _box().decrypt(stored.encode()).decode()


def _box() -> MultiFernet:
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])


def _derived(key: str) -> bytes:
    return hmac.new(key.encode(), PURPOSE, hashlib.sha256).digest()
