"""Distil the map of a pair, where a GPU is at hand."""

from argparse import ArgumentParser
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from factory.cold_start.run import default_session
from factory.console import bars, stage_in
from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError, ModelNotSupported

METADATA = Metadata(actor="command:distil_map")


class Command(BaseCommand):
    help = (
        "Train the map of a pair end to end on the target's next words: minutes on a GPU, days on a processor. "
        "generate_cold_start and the factory's runs take the map from then on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source")
        parser.add_argument("target")
        parser.add_argument("--steps", type=int, default=480, help="Of 18 000 tokens each, about.")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--unified-dimension", type=int, default=512)
        parser.add_argument("--known-layers", type=int, default=2, help="Of the target, which correct the others.")
        parser.add_argument("--correction-rank", type=int, default=256)
        parser.add_argument("--device", default="cuda", help="As torch names it; cuda by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        from factory.recipes.distilled import DistillationOrder, make_distilled  # brings JAX and torch along

        for name in ("steps", "unified_dimension", "known_layers", "correction_rank"):
            if options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} is {options[name]}; it must be at least 1")
        _require_device(options["device"])
        stdout = cast(TextIO, self.stdout)
        try:
            with bars(Console(file=stdout)) as display:
                session = default_session(stage=stage_in(display), metadata=METADATA)
                names = {field: options[field] for field in DistillationOrder.__dataclass_fields__}
                made = make_distilled(DistillationOrder(**names), session)
        except LatentMASError as error:
            raise CommandError(f"{error.code}: {error.message} {error.advice}".strip()) from error
        self.stdout.write(f"{made.path}: generate_cold_start measures and lists it.")


def _require_device(name: str) -> None:
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        problem = ModelNotSupported(
            f"torch has no device {name!r} here: {str(error).splitlines()[0]}",
            resolution="Name another one, such as cpu, which takes days.",
        )
        raise CommandError(f"{problem.code}: {problem.message} {problem.advice}") from error
