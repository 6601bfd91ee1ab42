"""Make the W-Matrices between the embedding spaces of models that can be run here."""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import permutations
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from rich.console import Console
from rich.table import Table

from factory import publishing
from factory.console import bars, stage_in
from factory.corpora import WIKIPEDIA, load_corpus
from factory.packs.capture import PASSAGES
from factory.recipes.results import Generated
from factory.session import FactorySession
from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis, Interval
from latentmas.protocol.w_matrix import Space
from latentmas.registry.queries import get_model
from latentmas.runners.weights import PACKAGED, PACKAGED_ENCODERS

METADATA = Metadata(actor="command:align_vectors")
LEAST_PASSAGES = 250


class Command(OperatorCommand):
    help = "Fit and measure the maps between the vectors of two or more models, in both directions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        packaged = ", ".join((*PACKAGED_ENCODERS, *PACKAGED))
        parser.add_argument("models", nargs="*", help=f"At least two models of the registry; default: {packaged}.")
        parser.add_argument("--corpus", default=WIKIPEDIA, help="lee, wikipedia, a text file, folder or JSONL.")
        parser.add_argument("--passages", type=int, default=PASSAGES, help="Passages to read, over all splits.")
        parser.add_argument("--publish", action="store_true", help="List what was made in the marketplace.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["passages"] < LEAST_PASSAGES:
            raise CommandError(f"--passages is {options['passages']}; it must be at least {LEAST_PASSAGES}")
        console = self.console()
        names = _names(options["models"] or [*PACKAGED_ENCODERS, *PACKAGED])
        console.print(_table(self._make(names, options, console)))

    def _make(self, names: list[str], options: dict[str, Any], console: Console) -> Iterator[tuple[str, ...]]:
        from factory.recipes.embeddings import EmbeddingOrder, generate_vectors

        corpus = load_corpus(options["corpus"])
        with bars(console) as display:
            session = FactorySession(
                read_corpus=lambda: corpus,
                cache=settings.CACHE_DIR,
                metadata=METADATA,
                stage=stage_in(display),
            )
            for source, target in permutations(names, 2):
                started = time.monotonic()
                version = publishing.next_version(source, target, Basis.FUNCTIONAL, space=Space.EMBEDDING)
                made = generate_vectors(EmbeddingOrder(source, target, version, options["passages"]), session)
                published = publishing.publish(made, metadata=METADATA) if options["publish"] else None
                tier = publishing.tier_of(published.decision if published else None)[0]
                yield _row(made, tier, seconds=time.monotonic() - started)


def _names(spellings: list[str]) -> list[str]:
    """Return the registry's names, each once. Raises ModelNotSupported, or InvalidInput for a single model."""
    names = list(dict.fromkeys(get_model(spelling, require_active=True).name for spelling in spellings))
    if len(names) < 2:
        raise InvalidInput(f"{names[0]} is one model; name two or more", field="models")
    return names


def _row(made: Generated, tier: str, *, seconds: float) -> tuple[str, ...]:
    found = made.quality.retrieval
    assert found is not None
    return (
        f"{made.source.name} → {made.target.name}",
        made.method,
        _text(found.top1),
        _text(found.top5),
        _text(found.random_w_top1),
        f"{found.candidates} of {made.quality.documents}",
        f"{made.quality.cosine_similarity:.3f}",
        f"{made.quality.euclidean_distance:.3f}",
        tier,
        f"{made.file_size / 1e6:.1f} MB",
        f"{seconds:.0f} s",
    )


def _table(rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(title="W-Matrices between embeddings")
    headings = ("pair", "method", "top-1 [95 %]", "top-5 [95 %]", "random W, top-1 [95 %]", "passages of documents")
    for heading in (*headings, "cosine", "relative error", "tier", "file", "time"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _text(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
