"""A log of small events, keys of its own, and a witness."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django import Settings

from latentmas.events import store, types
from latentmas.events.store import New
from latentmas.events.types import event
from latentmas.protocol import notes
from latentmas.protocol.verification.notes import VerifierKey
from tests.events.sample import BY, Noted

ORIGIN = "tests.example/log"
WITNESS = "tests.example/witness"
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)


@pytest.fixture(autouse=True)
def _keys(settings: Settings) -> None:
    settings.LOG_ORIGIN = ORIGIN
    settings.LOG_SIGNING_KEY, settings.CERTIFICATE_SIGNING_KEY = b"l" * 32, b"c" * 32
    public_key = WITNESS_KEY.public_key().public_bytes_raw()
    witness = notes.verifier_key(WITNESS, notes.SignatureType.COSIGNATURE, public_key)
    settings.LOG_WITNESSES = [VerifierKey.parse(witness)]


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch, db: None) -> Callable[[int], None]:
    """Appends so many events of a type that only the test knows."""
    monkeypatch.setattr(types, "_BY_NAME", dict(types._BY_NAME))
    monkeypatch.setattr(types, "_BY_CLASS", dict(types._BY_CLASS))
    event("sample.noted")(Noted)

    def append(count: int) -> None:
        store.append(New("note/1", [Noted(f"note {number}") for number in range(count)]), metadata=BY)

    return append


def cosigned(
    note: str, *, key: Ed25519PrivateKey = WITNESS_KEY, name: str = WITNESS, timestamp: int = 1_800_000_000
) -> str:
    """Return the note with a cosignature under it."""
    text = note.partition("\n\n")[0] + "\n"
    return note + notes.cosignature_line(text, name=name, key=key, timestamp=timestamp)
