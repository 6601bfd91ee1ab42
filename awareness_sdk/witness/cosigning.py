"""Sign a log's checkpoint only where the log has but grown since the last one (C2SP tlog-witness, add-checkpoint)."""

import base64
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentmas.protocol.notes import SignatureType, cosignature_line, verifier_key
from latentmas.protocol.verification.errors import VerificationFailed
from latentmas.protocol.verification.notes import TreeHead, VerifierKey, read_note, read_tree_head, verified
from latentmas.protocol.verification.proofs import verify_consistency

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# At most 63 hashes, as the protocol has it.
REQUEST = re.compile(r"old (0|[1-9][0-9]{0,18})\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.*)", re.DOTALL | re.ASCII)
TEXT, SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"
EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Reply:
    status: HTTPStatus
    body: str
    content_type: str = TEXT


@dataclass(frozen=True, slots=True)
class Witness:
    """A name and key, the logs it knows by the name of their keys, and the file that remembers what it has signed."""

    name: str
    key: "Ed25519PrivateKey"
    logs: Mapping[str, Sequence[VerifierKey]]
    state: Path

    @property
    def verifier_key(self) -> str:
        return verifier_key(self.name, SignatureType.COSIGNATURE, self.key.public_key().public_bytes_raw())

    def add_checkpoint(self, request: str) -> Reply:
        """Answer an add-checkpoint request: a cosignature line with 200, or the refusal that the protocol demands."""
        match = REQUEST.fullmatch(request)
        if match is None:
            return Reply(HTTPStatus.BAD_REQUEST, "send: old SIZE, proof lines, an empty line, a checkpoint\n")
        old, proof = int(match[1]), [base64.b64decode(line) for line in match[2].split()]
        try:
            note = read_note(match[3])
            head = read_tree_head(note.text)
        except VerificationFailed as error:
            return Reply(HTTPStatus.BAD_REQUEST, f"{error.message}\n")
        if head.origin not in self.logs:
            return Reply(HTTPStatus.NOT_FOUND, "this witness does not know the log\n")
        try:
            signers = verified(note, self.logs[head.origin])
        except VerificationFailed as error:
            return Reply(HTTPStatus.FORBIDDEN, f"{error.message}\n")
        if not signers:
            return Reply(HTTPStatus.FORBIDDEN, "no known key of the log signed the checkpoint\n")
        if old > head.size:
            return Reply(HTTPStatus.BAD_REQUEST, f"old is {old}, more than the checkpoint's {head.size}\n")
        with self._remembering() as remembered:
            return self._cosign(head, note.text, remembered, old=old, proof=proof)

    def last(self, origin: str) -> tuple[int, bytes]:
        """Return size and root of the newest checkpoint that was signed; the empty tree before the first."""
        return _last(self._read(), origin)

    def _cosign(
        self, head: TreeHead, text: str, remembered: dict[str, Any], *, old: int, proof: Sequence[bytes]
    ) -> Reply:
        """Sign where the tree contains the one that was signed last, and remember it before anybody sees the line."""
        size, root = _last(remembered, head.origin)
        if old != size:
            return Reply(HTTPStatus.CONFLICT, f"{size}\n", SIZE)
        try:
            verify_consistency(old=old, new=head.size, old_root=root, new_root=head.root, proof=proof)
            if head.size == 0 and head.root != EMPTY_ROOT:
                return Reply(HTTPStatus.UNPROCESSABLE_ENTITY, "the root of an empty tree is SHA-256 of nothing\n")
        except VerificationFailed as error:
            return Reply(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error.message}\n")
        line = cosignature_line(text, name=self.name, key=self.key, timestamp=int(time.time()))
        remembered[head.origin] = {"size": head.size, "root": base64.b64encode(head.root).decode()}
        self._write(remembered)
        return Reply(HTTPStatus.OK, line)

    @contextmanager
    def _remembering(self) -> Iterator[dict[str, Any]]:
        """Read the state and keep every other request, of other processes too, from it until the end."""
        with open(self.state.with_name(f"{self.state.name}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._read()

    def _read(self) -> dict[str, Any]:
        return dict(json.loads(self.state.read_text())) if self.state.exists() else {}

    def _write(self, remembered: Mapping[str, Any]) -> None:
        beside = self.state.with_name(f"{self.state.name}.new")
        with open(beside, "w") as file:
            json.dump(remembered, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.state)


def request_for(old: int, proof: Sequence[str], note: str) -> str:
    """Return the body of an add-checkpoint request; the proof's hashes are in base64."""
    return "".join([f"old {old}\n", *(f"{each}\n" for each in proof), "\n", note])


def _last(remembered: Mapping[str, Any], origin: str) -> tuple[int, bytes]:
    if origin not in remembered:
        return 0, EMPTY_ROOT
    return remembered[origin]["size"], base64.b64decode(remembered[origin]["root"])
