"""One agent reads a document, another continues from its memory."""

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from factory.demonstration import show
from factory.demonstration.show import DOCUMENT, QUESTIONS, STRANGER, Demonstration
from factory.runners.model import RunningModel, load_model
from kvcache.exchange.mapping import OpenedWMatrix, open_w_matrix
from kvcache.server import queries
from latentmas import blobs
from latentmas.operator_command import OperatorCommand
from latentmas.protocol.errors import InvalidInput, TooLarge
from latentmas.protocol.w_matrix import read_w_matrix
from latentmas.runners.weights import find_weights
from marketplace.listings.certificates.standing import reasons_of
from marketplace.listings.choosing.choice import best_for_cache

MAX_DOCUMENT_BYTES = 1 << 20
SOURCE, TARGET = "smollm2-135m", "gemma-3-270m"


class Command(OperatorCommand):
    help = "Let one model read a document and another answer from its memory, beside text, nothing and another memory."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--source", default=SOURCE, help="Model that reads.")
        parser.add_argument("--target", default=TARGET, help="Model that answers.")
        parser.add_argument("--document", type=Path, help="Text file to read; default: a short invented report.")
        parser.add_argument("--question", action="append", help="Line for the model to complete; may be repeated.")
        parser.add_argument("--tokens", type=int, default=16, help="Tokens of each answer.")
        parser.add_argument("--w-matrix", type=Path, help="W-Matrix file; default: the best one that is listed.")
        parser.add_argument(
            "--reread", type=float, default=0.125, help="Share of the tokens that the target reads itself, 0 to 1."
        )
        parser.add_argument("--same-model", action="store_true", help="Hand over to the same model, bit by bit.")
        parser.add_argument("--latent-steps", type=int, default=0, help="With --same-model: thoughts after reading.")

    def handle(self, *args: Any, **options: Any) -> None:
        for name, least in (("tokens", 1), ("latent_steps", 0)):
            if options[name] < least:
                raise CommandError(f"--{name.replace('_', '-')} is {options[name]}; it must be at least {least}")
        if options["latent_steps"] and not options["same_model"]:
            raise CommandError("--latent-steps needs --same-model: thoughts stand for no text that could be paired")
        console = self.console()
        shown = _shown(options)
        for table in show.tables(shown):
            console.print(table)
        for line in shown.facts:
            console.print(line, markup=False, highlight=False)
        if options["same_model"] and not shown.identical:
            raise CommandError("the handed-over memory did not give the model's own continuation to the last token")


def _shown(options: dict[str, Any]) -> Demonstration:
    text = DOCUMENT if options["document"] is None else text_of(options["document"])
    asked = tuple(options["question"] or QUESTIONS)
    if options["same_model"]:
        return show.same_model(
            _model(options["target"]),
            text,
            stranger=STRANGER,
            questions=asked,
            tokens=options["tokens"],
            steps=options["latent_steps"],
        )
    w_matrix, notes = _w_matrix(options["source"], options["target"], options["w_matrix"])  # before any model is loaded
    source, target = _model(options["source"]), _model(options["target"])
    row = queries.profile_for(source.name, source.weights)
    shown = show.two_models(
        show.Pair(source, target, w_matrix, None if row is None else queries.open_profile(row)),
        text,
        stranger=STRANGER,
        questions=asked,
        tokens=options["tokens"],
        reread=options["reread"],
    )
    return replace(shown, facts=(*notes, *shown.facts))


def _model(name: str) -> RunningModel:
    return load_model(find_weights(name, cache=settings.CACHE_DIR))


def _w_matrix(source: str, target: str, path: Path | None) -> tuple[OpenedWMatrix, tuple[str, ...]]:
    """Return the W-Matrix of a file, or the pair's best listed one, and why it carries no certificate, if it does not.

    Raises WMatrixNotFound or InvalidInput.
    """
    if path is None:
        listed = best_for_cache(
            source_model=source, target_model=target, weights=None, at=timezone.now(), require_certificate=False
        )
        opened = open_w_matrix(read_w_matrix(blobs.local_path(listed.file_digest)))
        reasons = reasons_of(listed)
        return opened, (f"This W-Matrix carries no certificate: {'; '.join(reasons)}",) if reasons else ()
    if not path.is_file():
        raise InvalidInput(f"there is no file {str(path)!r}", field="w_matrix")
    found = open_w_matrix(read_w_matrix(path))
    if (found.document.source_model, found.document.target_model) != (source, target):
        raise InvalidInput(
            f"the W-Matrix goes from {found.document.source_model} to {found.document.target_model}",
            resolution=f"Name these models with --source and --target, or a file from {source} to {target}.",
            field="w_matrix",
        )
    return found, ()


def text_of(path: Path) -> str:
    """Return a text file's content. Raises InvalidInput or TooLarge."""
    if not path.is_file():
        raise InvalidInput(f"there is no file {str(path)!r}", field="document")
    if (size := path.stat().st_size) > MAX_DOCUMENT_BYTES:
        raise TooLarge(f"the document has {size} bytes; the limit is {MAX_DOCUMENT_BYTES}")
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the document is not UTF-8 text (byte {error.start})", field="document") from error
    if not text:
        raise InvalidInput("the document is empty", field="document")
    return text
