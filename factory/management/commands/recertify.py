"""Measure a W-Matrix again, on any machine, and compare with what its card says."""

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management.base import CommandError
from rich.console import Console
from rich.table import Table

from factory.console import bars, stage_in
from factory.corpora import corpus_with, load_corpus
from factory.corpora.suite import load_suite
from factory.session import FactorySession
from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand
from latentmas.protocol.card import Card
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Interval

if TYPE_CHECKING:
    from factory.certifying.recertification import Recertified

METADATA = Metadata(actor="command:recertify")


class Command(OperatorCommand):
    help = (
        "Measure a W-Matrix file on the public cells that its card names, and compare with the certifier's intervals. "
        "The card is what `GET .../manifest` answers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("card", type=Path, help="The card, as JSON.")
        parser.add_argument("file", type=Path, help="The W-Matrix file.")
        parser.add_argument(
            "--weights", action="append", default=[], metavar="MODEL=PLACE", help="Folder, GGUF file or hub id."
        )
        parser.add_argument("--corpus", help="Of the controls; default: the product's own that the card names.")
        parser.add_argument("--submission", type=Path, help="Write the body of `POST .../recertify` to this file.")
        parser.add_argument("--agent", help="Sign the submission as this agent; needs --key.")
        parser.add_argument("--key", type=Path, help="File with the seed of the agent's Ed25519 key, in hex.")

    def handle(self, *args: Any, **options: Any) -> None:
        console = self.console()
        key = _key(options)
        found = _recertified(options, console)
        console.print(_table(found))
        if options["submission"] is not None:
            options["submission"].write_bytes(msgspec.json.encode(found.submission(agent=options["agent"], key=key)))
        if not found.agrees:
            raise CommandError("a figure lies outside the certifier's interval")


def _recertified(options: dict[str, Any], console: Console) -> "Recertified":
    from factory.certifying.recertification import named_in, recertify  # brings JAX along

    card = _card(options["card"])
    named = named_in(card)
    with bars(console) as display:
        session = FactorySession(
            read_corpus=lambda: load_corpus(options["corpus"] or _location(card)),
            cache=settings.CACHE_DIR,
            metadata=METADATA,
            stage=stage_in(display),
            locations=dict(_place(each) for each in options["weights"]),
            read_suite=lambda: load_suite(named.name),
        )
        return recertify(card, options["file"], session)


def _card(path: Path) -> Card:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Card)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"{path.name} is no card: {error}", field="card") from error


def _key(options: dict[str, Any]) -> Ed25519PrivateKey | None:
    path: Path | None = options["key"]
    if (path is None) != (options["agent"] is None):
        raise InvalidInput("--agent and --key go together", field="key")
    if path is None:
        return None
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{path.name} holds no key: {error}",
            resolution="It holds 32 bytes in hex: openssl rand -hex 32.",
            field="key",
        ) from error


def _location(card: Card) -> str:
    assert card.quality.corpus is not None  # named_in has seen it
    known = corpus_with(digest=card.quality.corpus.digest)
    if known is None:
        raise InvalidInput(
            f"no corpus with the digest {card.quality.corpus.digest} comes with the product",
            resolution="Name the text with --corpus.",
            field="corpus",
        )
    return known.location


def _place(text: str) -> tuple[str, str]:
    model, equals, place = text.partition("=")
    if not equals:
        raise InvalidInput(f"--weights is {text!r}; write MODEL=PLACE", field="weights")
    return model, place


def _table(found: "Recertified") -> Table:
    verdict = "agrees" if found.agrees else "does not agree"
    table = Table(title=f"{found.card.source.model} → {found.card.target.model} {found.card.version}: {verdict}")
    for heading in ("register", "tokens", "certifier [95 %]", "here [95 %]"):
        table.add_column(heading)
    named = found.card.quality.suite
    known = {(each.register, each.length): each.aligned for each in (named.cells if named else ())}
    for cell in found.cells:
        certifier = known[(cell.register, cell.length)]
        table.add_row(cell.register, str(cell.length), _text(certifier), _text(cell.retention))
    return table


def _text(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
