"""One agent sells what it has read, another buys it and answers from it."""

import logging
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from awareness_sdk import AwarenessClient, AwarenessError
from factory.demonstration import site
from factory.demonstration.market import HANDLES, Shown, Site, Story, told
from factory.demonstration.show import DOCUMENT, QUESTIONS
from factory.management.commands.exchange_demo import SOURCE, TARGET, text_of
from factory.runners.model import load_model
from latentmas.operator_command import OperatorCommand
from latentmas.rest.scopes import (
    AGENTS_WRITE,
    MEMORIES_PUBLISH,
    MEMORIES_READ,
    MEMORIES_WRITE,
    PURCHASES_WRITE,
    TOP_UPS_WRITE,
    WALLET_READ,
)
from latentmas.runners.weights import find_weights

PRICE = 500  # minor units
SELLING = (AGENTS_WRITE, MEMORIES_READ, MEMORIES_WRITE, MEMORIES_PUBLISH)
BUYING = (AGENTS_WRITE, PURCHASES_WRITE, WALLET_READ, TOP_UPS_WRITE)


class Command(OperatorCommand):
    help = "Sell the memory of a text to another agent over HTTP, answer from it, and check receipt and log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--address", help="Running site with this database; default: serve while it lasts.")
        parser.add_argument("--source", default=SOURCE, help="Model that reads and sells.")
        parser.add_argument("--target", default=TARGET, help="Model that buys and answers.")
        parser.add_argument("--document", type=Path, help="Text file to read; default: a short invented report.")
        parser.add_argument("--question", action="append", help="Line for the model to complete; may be repeated.")
        parser.add_argument("--tokens", type=int, default=16, help="Tokens of each answer.")
        parser.add_argument(
            "--minimum-retention", type=float, help="Enough for the buyer, 0 to 1; default: what the site takes."
        )
        parser.add_argument("--price", type=int, default=PRICE, help="Base price in minor units of USD.")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("the demonstration pays with money that nobody has paid in; it is for local machines")
        if options["tokens"] < 1:
            raise CommandError(f"--tokens is {options['tokens']}; it must be at least 1")
        console = self.console()
        logging.disable(logging.WARNING)  # the site's own lines, which it writes to the same terminal
        try:
            for each in _told(options):
                console.print(each, markup=False, highlight=False)
        except AwarenessError as error:
            raise CommandError(str(error)) from error
        finally:
            logging.disable(logging.NOTSET)


def _told(options: dict[str, Any]) -> Iterator[Shown]:
    models = options["source"], options["target"]
    weights = {name: find_weights(name, cache=settings.CACHE_DIR) for name in models}  # before anything is sold
    story = Story(
        models=models,
        load=lambda name: load_model(weights[name]),
        text=DOCUMENT if options["document"] is None else text_of(options["document"]),
        questions=tuple(options["question"] or QUESTIONS),
        tokens=options["tokens"],
        price=options["price"],
        minimum_retention=options["minimum_retention"],
    )
    with ExitStack() as opened:
        address = options["address"] or opened.enter_context(site.serving())
        seller, buyer = (
            opened.enter_context(AwarenessClient(opened.enter_context(site.token_of(name, scopes)), address))
            for name, scopes in zip(HANDLES, (SELLING, BUYING), strict=True)
        )
        yield f"The site: {address}"
        keep_up = site.leave_it_to_the_workers if options["address"] else site.keep_up
        yield from told(story, Site(seller, buyer, keep_up, site.credit))
