"""The `.kvz` file: a compressed KV snapshot, self-describing, checked section by section, readable without Django.

A safetensors file whose document (canonical JSON) names the frame, the coding and its parameters, the selection, the
codec profile and the evidence, with the SHA-256 of every section and of itself. Positions, token ids and offsets are
stored in compact form (`kvcache.coding.frame`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvcache.coding.encoded import CODINGS, Encoded
from kvcache.coding.frame import FRAME_PREFIX, compact_frame, expand_frame
from latentmas.protocol import tensors
from latentmas.protocol.canonical import canonical
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.marks import MARK
from latentmas.protocol.snapshot import MAX_BYTES, KVSnapshot, SnapshotFrame
from latentmas.protocol.tensors import Array, TensorFile

if TYPE_CHECKING:
    from kvcache.coding.profile import OpenedProfile

KIND = "kvz"
VERSION = 1
MAX_EXPANSION = 1 << 14  # decoded bytes per byte of file: far more than any coding reaches; bounds a forged header
KEYS = {"kind", "version", "frame", "coding", "parameters", "selection", "profile", "evidence", "sections", "digest"}


@dataclass(frozen=True, slots=True)
class Container:
    """A `.kvz` file in memory: coded arrays and their metadata, as canonical plain data (decimals are text)."""

    frame: SnapshotFrame
    encoded: Encoded
    selection: dict[str, Any] | None  # {"coverage": "0.93", "threshold": "0.9", "of_tokens": 1000}
    profile: str | None  # digest of the codec profile that decoding needs
    evidence: dict[str, Any]  # what its maker says was measured; whoever reads it has only that word


def write_kvz(container: Container) -> bytes:
    """Return the file; the same container gives the same bytes. Raises InvalidInput."""
    frame, arrays = compact_frame(container.frame)
    sections = container.encoded.sections | arrays
    document = {
        "kind": KIND,
        "version": VERSION,
        "frame": frame,
        "coding": container.encoded.coding,
        "parameters": container.encoded.parameters,
        "selection": container.selection,
        "profile": container.profile,
        "evidence": container.evidence,
        "sections": {name: _sha256(array) for name, array in sections.items()},
    }
    file = BytesIO()
    tensors.write(file, sections, document | {"digest": _digest(document)})
    return file.getvalue()


def read_kvz(
    data: bytes | Path | TensorFile, *, max_bytes: int = MAX_BYTES, max_decoded_bytes: int = MAX_BYTES
) -> Container:
    """Return a file's container with every checksum verified and nothing decoded.

    Raises InvalidInput, DimensionMismatch or TooLarge: the latter for a file, or decoded float32 keys and values, that
    exceed their limit, before anything of that size is allocated.
    """
    opened = tensors.open_tensors(data, max_bytes=max_bytes)
    document = _checked_document(opened.document)
    sections = _read_sections(opened, document["sections"])
    arrays = {name: sections.pop(name) for name in list(sections) if name.startswith(FRAME_PREFIX)}
    limit = min(max_decoded_bytes, MAX_EXPANSION * len(opened.data))
    frame = expand_frame(document["frame"], arrays, max_decoded_bytes=limit)
    return Container(
        frame=frame,
        encoded=Encoded(document["coding"], document["parameters"], sections),
        selection=document["selection"],
        profile=document["profile"],
        evidence=document["evidence"],
    )


def unpack(container: Container, *, profile: "OpenedProfile | None" = None) -> KVSnapshot:
    """Return the decoded snapshot, float32. Raises InvalidInput or DimensionMismatch, also for another profile."""
    _require_profile(container, profile)
    encoded, frame = container.encoded, container.frame
    match encoded.coding:  # imported here: a web process reads headers without loading JAX
        case "raw":
            from kvcache.coding import raw

            keys, values = raw.decode(encoded, frame)
        case "quantised":
            from kvcache.coding import quantised

            keys, values = quantised.decode(encoded, frame)
        case "transform":
            from kvcache.coding import transform_decoding

            assert profile is not None  # a container of this coding names its profile
            keys, values = transform_decoding.decode(encoded, frame, profile=profile)
        case coding:
            raise InvalidInput(f"the coding is {coding!r}; allowed are {', '.join(CODINGS)}", field="coding")
    return KVSnapshot(frame, keys, values)


def _require_profile(container: Container, profile: "OpenedProfile | None") -> None:
    _check_named(container.encoded.coding, container.profile)
    if container.profile is None or (profile is not None and profile.digest == container.profile):
        return
    given = "none was given" if profile is None else f"{profile.digest} was given"
    raise InvalidInput(
        f"the file was coded with the codec profile {container.profile}; {given}",
        resolution=f"Download the profile {container.profile} and give it.",
        field="profile",
    )


def _checked_document(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document whose digest and types are right; the mark of a delivery is no part of what it states."""
    document = {key: value for key, value in document.items() if key != MARK}
    if document.get("kind") != KIND or document.get("version") != VERSION:
        raise InvalidInput(
            f"this is {document.get('kind')!r}, version {document.get('version')!r}; it must be {KIND!r}, "
            f"version {VERSION}",
            field="kind",
        )
    if unlike := sorted(set(document) ^ KEYS):
        raise InvalidInput(f"a {KIND} document has exactly the keys {', '.join(sorted(KEYS))}; see {unlike[0]!r}")
    match document:
        case {
            "frame": dict(),
            "coding": str(coding),
            "parameters": dict(),
            "selection": None | dict(),
            "profile": None | str(),
            "evidence": dict(),
            "sections": dict(),
        } if coding in CODINGS:
            pass
        case _:
            raise InvalidInput(f"the {KIND} document is malformed; codings are {', '.join(CODINGS)}", field="coding")
    _check_named(document["coding"], document["profile"])
    rest = {key: value for key, value in document.items() if key != "digest"}
    if document["digest"] != _digest(rest):
        raise InvalidInput(f"the {KIND} document does not have the digest that it states", field="digest")
    return document


def _check_named(coding: str, profile: str | None) -> None:
    if (coding == "transform") != (profile is not None):
        raise InvalidInput(
            f"profile is {profile!r}; the coding 'transform' needs a codec profile, and no other does", field="profile"
        )


def _read_sections(opened: TensorFile, digests: Mapping[str, object]) -> dict[str, Array]:
    if unlike := sorted(set(opened.tensors) ^ set(digests)):
        raise InvalidInput(f"the file and its document disagree about the section {unlike[0]!r}", field=unlike[0])
    sections = {}
    for name in opened.tensors:
        sections[name] = opened.read(name)
        if _sha256(sections[name]) != digests[name]:
            raise InvalidInput(f"the section {name!r} does not have the checksum that the document states", field=name)
    return sections


def _sha256(array: Array) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _digest(document: Mapping[str, Any]) -> str:
    try:
        return hashlib.sha256(canonical(dict(document))).hexdigest()
    except RecursionError as error:
        raise InvalidInput(f"the {KIND} document is nested too deeply") from error
