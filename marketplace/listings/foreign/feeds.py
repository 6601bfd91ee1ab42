"""The signed feed of another registry, page by page, and the files that it names."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import msgspec
from django.conf import settings

from latentmas import blobs, outbound
from latentmas.protocol.card import Card
from latentmas.protocol.errors import InvalidInput, NotFound, TooLarge
from latentmas.protocol.verification.envelopes import open_envelope
from marketplace.listings.cards import FEED_TYPE
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.foreign.cards import Keys
from marketplace.uploads.errors import digest_mismatch

PAGE_BYTES = 32 << 20
PAGE_SECONDS, FILE_SECONDS = 60.0, 1800.0
PAGES = 200
READ_BYTES = 1 << 20


class Page(msgspec.Struct):
    """A page of a feed whose cards are not read yet: one that is malformed does not spoil the others."""

    cards: list[msgspec.Raw]
    next: str | None


def pages_at(url: str, keys: Keys) -> Iterator[Page]:
    """Yield the pages of the feed at an address (`.../api/feed?envelope=true`), each after its signature was checked.

    Raises AddressRefused, RemoteFailed, VerificationFailed, InvalidInput, or TooLarge for a feed without an end.
    """
    for _ in range(PAGES):
        body = bytearray()
        outbound.fetch(url, body.extend, max_bytes=PAGE_BYTES, seconds=PAGE_SECONDS)
        page = page_in(bytes(body), keys)
        yield page
        if page.next is None:
            return
        url = _there(url, page.next)
    raise TooLarge(f"the feed has more than {PAGES} pages", limit=PAGES)


def page_in(data: bytes, keys: Keys) -> Page:
    """Return a page of a feed in its envelope, which one of the keys must have signed.

    Raises VerificationFailed, or InvalidInput for what is no such page.
    """
    try:
        envelope = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise InvalidInput(
            "this is no JSON; a signed page of a feed is what /api/feed?envelope=true answers"
        ) from error
    payload = open_envelope(envelope, keys, payload_type=FEED_TYPE)
    try:
        return msgspec.json.decode(payload, type=Page)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the page is no latentmas/feed/1: {error}") from error


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def fetched(card: Card, feed: str) -> StoredFile:
    """Store the file of a card from the registry whose feed it is in.

    Raises AddressRefused, RemoteFailed, StorageUnavailable, TooLarge, DigestMismatch, or InvalidInput where it is sold:
    then it is bought there, and taken from a folder.
    """
    if card.price.amount:
        raise InvalidInput(
            f"the file costs {card.price.amount} minor units of {card.price.currency}",
            resolution="Buy it there, and name a folder with the file (--files).",
        )
    address, limit = _there(feed, card.file_url), _limit(card)

    def copy(take: Callable[[bytes], object]) -> None:
        outbound.fetch(address, take, max_bytes=limit, seconds=FILE_SECONDS)

    return _stored(card, copy)


def in_folder(card: Card, folder: Path) -> StoredFile:
    """Store the file of a card from a folder, where its name is its SHA-256.

    Raises NotFound, TooLarge, DigestMismatch or StorageUnavailable.
    """
    path = folder / f"{card.file.digest.removeprefix('sha256:')}.safetensors"
    if not path.is_file():
        raise NotFound(f"there is no file {path.name} in the folder")
    _limit(card)

    def copy(take: Callable[[bytes], object]) -> None:
        with path.open("rb") as file:
            while piece := file.read(READ_BYTES):
                take(piece)

    return _stored(card, copy)


def _there(feed: str, address: str) -> str:
    """Return an address that the registry names, in full. Raises InvalidInput for one of another host."""
    full = urljoin(feed, address)
    if host_of(full) != host_of(feed):
        raise InvalidInput(f"the feed leads to another host, {host_of(full)}", field="url")
    return full


def _stored(card: Card, copy: Callable[[Callable[[bytes], object]], None]) -> StoredFile:
    def write(file: BinaryIO) -> None:
        sha256 = hashlib.sha256()

        def take(piece: bytes) -> None:
            sha256.update(piece)
            file.write(piece)

        copy(take)
        if (came := f"sha256:{sha256.hexdigest()}") != card.file.digest:
            raise digest_mismatch(came, announced=card.file.digest)

    digest = blobs.put(write)
    return StoredFile(digest, blobs.size(digest))


def _limit(card: Card) -> int:
    """Return the most bytes that the card's file may have. Raises TooLarge."""
    if card.file.size > settings.W_MATRIX_MAX_BYTES:
        raise TooLarge(
            f"the file has {card.file.size} bytes; the limit is {settings.W_MATRIX_MAX_BYTES}",
            limit=settings.W_MATRIX_MAX_BYTES,
            size=card.file.size,
        )
    return card.file.size
