"""Receive a contributed calibration pack: stream it to disk, check it, store and record it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.http import UnreadablePostError

from factory.commands import record_pack
from factory.corpora import Split
from factory.events import PackRecorded
from factory.models import CalibrationPack
from factory.packs.checks import check_pack, rows_in
from factory.packs.pack import OpenedPack, open_pack
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, TooLarge

CHUNK_BYTES = 1 << 20

Read = Callable[[int], bytes]  # returns the body's next bytes, at most so many; b"" at its end


@dataclass(frozen=True, slots=True)
class Received:
    """A pack whose file is stored and checked."""

    digest: str
    pack: OpenedPack


def receive(read: Read, *, limit: int, new_corpus: bool) -> Received:
    """Store a pack's file.

    Raises TooLarge, InvalidInput, DimensionMismatch, ModelNotSupported or StorageUnavailable; nothing is kept then.
    """
    opened: list[OpenedPack] = []

    def write(file: BinaryIO) -> None:
        _receive(read, file, limit=limit)
        pack = open_pack(Path(file.name))
        check_pack(pack, new_corpus=new_corpus)
        opened.append(pack)

    return Received(blobs.put(write), opened[0])  # an exception leaves no file


def contribute(received: Received, *, contributor: str, metadata: Metadata) -> tuple[CalibrationPack, bool]:
    """Record a pack; return its row and whether it is new (the same file is recorded once)."""
    row = CalibrationPack.objects.filter(digest=received.digest).first()
    if row is not None:
        return row, False
    record_pack(_fact(received.digest, received.pack, contributor), metadata=metadata)
    return CalibrationPack.objects.get(digest=received.digest), True


def _receive(read: Read, file: BinaryIO, *, limit: int) -> None:
    size = 0
    try:
        while chunk := read(CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"the body has more than {limit} bytes, the limit", limit=limit)
            file.write(chunk)
    except UnreadablePostError as error:  # an OSError of the connection, not of the disk
        raise InvalidInput(f"the body broke off after {size} bytes; nothing was kept", field="body") from error
    if not size:
        raise InvalidInput("the body is empty; send a calibration pack", field="body")
    file.flush()


def _fact(digest: str, pack: OpenedPack, contributor: str) -> PackRecorded:
    document = pack.document
    return PackRecorded(
        digest=digest,
        size=blobs.size(digest),
        model=document.model,
        weights=document.weights,
        corpus=document.corpus,
        corpus_digest=document.corpus_digest,
        calibration_tokens=rows_in(pack, Split.CALIBRATION),
        documents=len(document.documents),
        width=document.width,
        space=document.space,
        contributor=contributor,
    )
