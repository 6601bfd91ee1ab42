"""Typed readers of the process environment: a wrong value fails at start-up and says what would be right."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from latentmas.extras import absent, install_command

if TYPE_CHECKING:
    from latentmas.protocol.verification.notes import VerifierKey

SEED_BYTES = 32  # of an Ed25519 private key
TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


def text(name: str, default: str, *, choices: tuple[str, ...] = ()) -> str:
    """Return the variable, which must be one of `choices` where any are given."""
    value = os.environ.get(name) or default
    if choices and value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
    return value


def boolean(name: str, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of {', '.join(sorted(TRUE | FALSE))}")
    return value in TRUE


def integer(name: str, default: int, *, minimum: int) -> int:
    value = os.environ.get(name) or str(default)
    try:
        number = int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be a whole number") from error
    if number < minimum:
        raise ImproperlyConfigured(f"{name} is {number}; it must be at least {minimum}")
    return number


def rate(name: str, default: str) -> tuple[int, int] | None:
    """Return `300/minute` as 300 and 60 seconds; None for `off`."""
    value = os.environ.get(name) or default
    if value == "off":
        return None
    count, _, unit = value.partition("/")
    if unit not in SECONDS or not count.isascii() or not count.isdigit() or int(count) < 1:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be off, or like 300/minute ({', '.join(SECONDS)})")
    return int(count), SECONDS[unit]


def url(name: str, default: str, *, schemes: tuple[str, ...]) -> str:
    """Return a URL with one of the schemes. Its rest is not shown: it may hold a password."""
    value = os.environ.get(name) or default
    scheme, colon, _ = value.partition("://")
    if not colon or scheme not in schemes:
        wanted = ", ".join(f"{each}://" for each in schemes)
        raise ImproperlyConfigured(f"{name} begins with {scheme[:20]!r}; it must begin with one of {wanted}")
    return value


def address(name: str) -> str:
    """Return an http or https address without a slash at its end; empty where it is not set."""
    value = os.environ.get(name, "").rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be an http or https address without a query")
    return value


def need(name: str, *, because: tuple[str, ...]) -> None:
    """Raise ImproperlyConfigured where one of the variables `because` is set and `name`, which it needs, is not."""
    for other in because:
        if os.environ.get(other) and not os.environ.get(name):
            raise ImproperlyConfigured(f"{other} is set and {name} is not; set {name} too, or neither")


def need_extra(extra: str, *, because: str) -> None:
    """Raise ImproperlyConfigured where the variable `because` is set and the extra that it needs is not installed."""
    if os.environ.get(because) and absent(extra):
        missing = ", ".join(absent(extra))
        raise ImproperlyConfigured(f"{because} needs {missing}, which is not installed: {install_command(extra)}")


def words(name: str, default: list[str]) -> list[str]:
    """Return a comma-separated variable as a list."""
    value = os.environ.get(name)
    return default if value is None else [word.strip() for word in value.split(",") if word.strip()]


def folder(name: str, default: Path) -> Path:
    """Return an absolute folder path, created where it is absent."""
    path = Path(os.environ.get(name) or default).expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is {path}, which cannot be created: {error.strerror}") from error
    return path


def secret(name: str, *, fallback_file: Path | None) -> str:
    """Return a secret from `NAME`, from the file `NAME_FILE`, or from `fallback_file`, made on first use.

    Without a fallback file (production) the variable is required.
    """
    if (value := optional_secret(name)) is not None:
        return value
    if fallback_file is None:
        raise ImproperlyConfigured(f"{name} must be set when ENVIRONMENT=production")
    return _read_or_create(fallback_file, lambda: token_urlsafe(50))


def optional_secret(name: str) -> str | None:
    """Return a secret from `NAME` or from the file `NAME_FILE`; None where neither is set."""
    if value := os.environ.get(name):
        return value
    kept = _file_of(name)
    return None if kept is None else kept.strip()


def signing_key(name: str, *, fallback_file: Path | None) -> bytes | None:
    """Return the seed of an Ed25519 key from `NAME` or the file `NAME_FILE`, in hex, or from `fallback_file`.

    The fallback file is made on first use. Without one (production) there may be no key: only processes that sign
    need to hold it.
    """
    value = os.environ.get(name) or _file_of(name)
    if not value and fallback_file is not None:
        value = _read_or_create(fallback_file, lambda: token_hex(SEED_BYTES))
    if not value:
        return None
    try:
        seed = bytes.fromhex(value.strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise ImproperlyConfigured(f"{name} must be {SEED_BYTES} random bytes in hex: openssl rand -hex {SEED_BYTES}")
    return seed


def key_name(name: str, default: str) -> str:
    """Return a name for keys in signed notes: a schema-less URL without spaces and plus signs."""
    value = os.environ.get(name) or default
    if re.fullmatch(r"[^\s+\x00-\x1f]{1,200}", value) is None:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be like example.com/log, without spaces and +")
    return value


def verifier_keys(name: str) -> "list[VerifierKey]":
    """Return the public keys in `NAME`, comma-separated, each as name+id+base64 (C2SP signed-note); none by default."""
    if not words(name, []):
        return []
    from latentmas.protocol.verification.notes import VerifierKey

    try:
        return [VerifierKey.parse(word) for word in words(name, [])]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from error


def secrets(name: str) -> list[str]:
    """Return the secrets in `NAME`, comma-separated, or in the file `NAME_FILE`, one a line; none by default."""
    if os.environ.get(name):
        return words(name, [])
    return [line.strip() for line in (_file_of(name) or "").splitlines() if line.strip()]


def _file_of(name: str) -> str | None:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE is {path}, which cannot be read: {error.strerror}") from error


def _read_or_create(path: Path, make: Callable[[], str]) -> str:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        value = make()
        file.write(value)
    return value
