"""`client.w_matrices`: publish W-Matrices of your agent's, and read listings, certificates, cards and proofs."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from awareness_sdk.errors import AwarenessError
from awareness_sdk.transport import Transport
from awareness_sdk.uploads import CHUNK_BYTES, Sent, upload

Result = dict[str, Any]
BASE = "/api/w-matrices"


class WMatricesClient:
    """`client.w_matrices`. Publishing needs the scope `w-matrices:publish` and an agent; reading needs no API key.

    Every call raises AwarenessError with the server's code.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(
        self, path: str | os.PathLike[str], *, progress: Sent | None = None, chunk_bytes: int = CHUNK_BYTES
    ) -> Result:
        """Send a file in pieces and return the finished upload; `progress(sent, size)` is called after each piece.

        An upload of the same file that broke off goes on where it stopped, in another process too.
        """
        return upload(self._transport, path, progress=progress, chunk_bytes=chunk_bytes)

    def publish(self, path: str | os.PathLike[str], *, progress: Sent | None = None, **offer: Any) -> Result:
        """List a W-Matrix file as your agent and return the listing; its first version is offered after a scan.

        The offer is the server's: title, source_model, target_model, price, version, epsilon and test_samples, and if
        you like description, tags, access, cosine_similarity, euclidean_distance, signature, seller_statement. What it
        says of quality is declared; only the server's certifier measures.
        """
        sent = self.upload(path, progress=progress)
        return dict(self._transport.json("POST", BASE, body={"upload": sent["id"], **offer}))

    def import_card(
        self,
        path: str | os.PathLike[str],
        card: Result,
        *,
        public_key: str | None = None,
        progress: Sent | None = None,
        **changes: Any,
    ) -> Result:
        """List a W-Matrix of another registry by its card and its file, and return the listing.

        `card` is what that registry's `card` returned. With `public_key`, of its certificates in base64, the one in the
        card must be signed by it. What is to be otherwise than in the card: title, description, price, tags, access,
        seller_statement, signature. The card's figures become declared.
        """
        upload = self.upload(path, progress=progress)
        key = {} if public_key is None else {"public_key": public_key}
        body = {"upload": upload["id"], "card": card, **key, **changes}
        return dict(self._transport.json("POST", f"{BASE}/import", body=body))

    def publish_version(
        self, listing_id: str, path: str | os.PathLike[str], *, progress: Sent | None = None, **declared: Any
    ) -> Result:
        """Publish another version of a listing and return the listing: version, epsilon, test_samples and the like."""
        sent = self.upload(path, progress=progress)
        return self._change("POST", listing_id, "/versions", {"upload": sent["id"], **declared})

    def yank(self, listing_id: str, version: str, *, reason: str) -> Result:
        """Withdraw a version for a reason and return the listing; who has got the file keeps it."""
        return self._change("POST", listing_id, f"/versions/{quote(version)}/yank", {"reason": reason})

    def set_alias(self, listing_id: str, name: str, *, version: str) -> Result:
        """Let a name such as `stable` lead to a version on offer, and return the listing."""
        return self._change("PUT", listing_id, f"/aliases/{quote(name)}", {"version": version})

    def get(self, listing_id: str) -> Result:
        """Return a listing with all its versions, each with its `scan` and `certification_status`. Raises NotFound."""
        return dict(self._transport.json("GET", f"{BASE}/{listing_id}"))

    def version(self, listing_id: str, version: str) -> Result:
        """Return one version, by its number or an alias, with every figure of its measurement."""
        return self._of_version(listing_id, version)

    def certificate(self, listing_id: str, version: str) -> Result:
        """Return the valid certificate of a version, or raise the reasons why it has none."""
        return self._of_version(listing_id, version, "/certificate")

    def card(self, listing_id: str, version: str) -> Result:
        """Return the version's card for machines; `GET /api/feed/schema` has its JSON Schema."""
        return self._of_version(listing_id, version, "/manifest")

    def proof(self, listing_id: str, version: str) -> Result:
        """Return the proof that the version's certificate is in the server's log, for `awareness_sdk.verify`.

        Raises AwarenessError NOT_SIGNED while the certificate waits for its signature, NOT_SEALED while no checkpoint
        covers it.
        """
        signature = self.certificate(listing_id, version)["signature"]
        if signature is None:
            raise AwarenessError({"code": "NOT_SIGNED", "detail": "the certificate is not signed yet; ask in a minute"})
        return dict(self._transport.json("GET", "/api/log/proof", params={"position": signature["position"]}))

    def download(self, listing_id: str, version: str, path: str | os.PathLike[str]) -> Path:
        """Write a version's file to a path, which is returned; raises AwarenessError if its digest is another."""
        return self._transport.download(f"{BASE}/{listing_id}/versions/{quote(version)}/file", path)

    def _of_version(self, listing_id: str, version: str, part: str = "") -> Result:
        return dict(self._transport.json("GET", f"{BASE}/{listing_id}/versions/{quote(version)}{part}"))

    def _change(self, method: str, listing_id: str, part: str, body: Result) -> Result:
        return self._transport.change(method, f"{BASE}/{listing_id}", part, body=body)
