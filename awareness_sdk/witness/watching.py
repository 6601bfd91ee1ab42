"""Ask a LatentMAS server for new checkpoints, and send it their cosignatures."""

from http import HTTPStatus

import httpx

from awareness_sdk.witness.cosigning import Witness, request_for
from latentmas.protocol.verification.notes import read_note, read_tree_head


class NotCosigned(Exception):
    """The server's checkpoint was refused, or the server failed; the message says which and why."""


def witness_once(witness: Witness, log: httpx.Client) -> int:
    """Cosign the server's last checkpoint and hand the cosignature in; return its size.

    Raises NotCosigned, VerificationFailed for what is no checkpoint, or httpx.HTTPError.
    """
    note = log.get("/api/log/checkpoint").raise_for_status().text
    head = read_tree_head(read_note(note).text)
    old, _ = witness.last(head.origin)
    if old > head.size:
        raise NotCosigned(f"the log shows {head.size} events after it has shown {old}")
    proof = log.get("/api/log/consistency", params={"from": old, "to": head.size}).raise_for_status().json()["proof"]
    reply = witness.add_checkpoint(request_for(old, proof, note))
    if reply.status != HTTPStatus.OK:
        raise NotCosigned(f"{reply.status.value}: {reply.body.strip()}")
    cosigned = f"{note}{reply.body}".encode()
    log.post("/api/log/cosignatures", content=cosigned, headers={"Content-Type": "text/plain"}).raise_for_status()
    return head.size
