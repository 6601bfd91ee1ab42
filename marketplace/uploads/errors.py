"""Errors of an upload that the protocol does not define."""

from latentmas.protocol.errors import Conflict, InvalidInput


class UploadOffsetMismatch(Conflict):
    """The bytes do not begin where the upload ends; `offset` in the facts says where that is."""

    code = "UPLOAD_OFFSET_MISMATCH"
    title = "The upload goes on elsewhere"
    resolution = "Send the bytes from the offset of GET /api/uploads/{id} on."


class DigestMismatch(InvalidInput):
    """The bytes that arrived are not the file that was announced; they were discarded."""

    code = "DIGEST_MISMATCH"
    title = "The file has another digest than was announced"
    resolution = "Compute the SHA-256 of the file that you send, and upload it again."


def digest_mismatch(came: str, *, announced: str | None) -> DigestMismatch:
    return DigestMismatch(
        f"the file has the digest {came}, not {announced} as was announced",
        field="digest",
        expected=announced,
        came=came,
    )
