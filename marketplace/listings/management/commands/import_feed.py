"""Mirror the signed feed of another registry."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import CommandError

from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand, said
from latentmas.protocol.card import Card
from latentmas.protocol.errors import LatentMASError
from marketplace.agents.queries import get_agent
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.foreign.cards import CheckedCard, Keys, checked_card, keys_of
from marketplace.listings.foreign.feeds import PAGE_BYTES, Page, fetched, host_of, in_folder, page_in, pages_at
from marketplace.listings.foreign.importing import import_card, imported_already
from marketplace.listings.lifecycle.commands import By

METADATA = Metadata(actor="command:import_feed")
CARDS = 500


class Command(OperatorCommand):
    help = (
        "List the certified mappers of another registry's signed feed as private W-Matrices of an agent's: their "
        "figures are declared, their certificates references that count for nothing here."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("feed", help="https://.../api/feed?envelope=true, or a file with such an answer")
        parser.add_argument("--key", action="append", required=True, help="public key of its certificates, in base64")
        parser.add_argument("--agent", required=True, help="id of the agent that they are to be of")
        parser.add_argument("--files", type=Path, help="folder with the W-Matrices, each named <SHA-256>.safetensors")
        parser.add_argument("--limit", type=int, default=CARDS, help=f"of cards that are read; default {CARDS}")

    def handle(self, *args: Any, **options: Any) -> None:
        remote = "://" in options["feed"]
        if not remote and options["files"] is None:
            raise CommandError("a feed in a file does not say where its W-Matrices are: name a folder with --files")
        agent, keys = get_agent(options["agent"]).id, keys_of(options["key"])
        pages = pages_at(options["feed"], keys) if remote else [page_in(_read(Path(options["feed"])), keys)]
        failed = self._mirror(pages, keys, agent, options)
        if failed:
            raise CommandError(f"{failed} cards could not be imported; the reasons are listed above")

    def _mirror(self, pages: Iterable[Page], keys: Keys, agent: str, options: dict[str, Any]) -> int:
        """Import the cards of the pages, each for itself; return how many could not be."""
        registry = host_of(options["feed"]) if "://" in options["feed"] else None
        folder: Path | None = options["files"]
        left, failed = options["limit"], 0

        def file_of(card: Card) -> StoredFile:
            return fetched(card, options["feed"]) if folder is None else in_folder(card, folder)

        for page in pages:
            for number, raw in enumerate(page.cards[:left], start=1):
                try:
                    came = checked_card(msgspec.json.decode(raw), keys=keys, registry=registry)
                    self.stdout.write(_imported(came, file_of, agent))
                except LatentMASError as error:
                    self.stderr.write(f"card {number}: {said(error)}")
                    failed += 1
            left -= len(page.cards[:left])
            if not left:
                self.stdout.write(f"{options['limit']} cards were read, the limit (--limit).")
                break
        return failed


def _imported(came: CheckedCard, file_of: Callable[[Card], StoredFile], agent: str) -> str:
    """Import a card whose file is not the agent's yet; return what was done. Raises LatentMASError."""
    card = came.card
    name = f"{card.source.model} to {card.target.model} {card.version}"
    if imported_already(came, agent):
        return f"{name}: there already"
    listing = import_card(came, file_of(card), by=By(agent, METADATA), access=Access.PRIVATE)
    return f"{name}: {listing}, scanned next; declared here"


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > PAGE_BYTES:
            raise CommandError(f"{path} has {size} bytes; a page of a feed has at most {PAGE_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
