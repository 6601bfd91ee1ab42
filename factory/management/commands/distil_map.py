"""Distil the map of a pair."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from factory.cold_start.run import default_session
from factory.console import bars, stage_in
from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand
from latentmas.protocol.errors import ModelNotSupported

METADATA = Metadata(actor="command:distil_map")


class Command(OperatorCommand):
    help = (
        "Train the map of a pair end to end on the target's next words: minutes on a GPU, hours on a processor with "
        "bfloat16. One that broke off goes on. generate_cold_start and the factory's runs take the map from then on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source")
        parser.add_argument("target")
        parser.add_argument("--steps", type=int, default=480)
        parser.add_argument("--step-tokens", type=int, default=18_000, help="Tokens of a step, about.")
        parser.add_argument("--rate", type=float, default=0.012, help="What a matrix may change by in a step.")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--unified-dimension", type=int, help="512, or that of the map at hand.")
        parser.add_argument(
            "--known-layers",
            type=int,
            help="Of the target, which correct the others: two, or those of the map at hand.",
        )
        parser.add_argument("--correction-rank", type=int, default=256)
        parser.add_argument(
            "--further", action="store_true", help="Go on from the map at hand, or a smaller form of it."
        )
        parser.add_argument("--mix", type=float, default=1.0, help="Share of the trained map in the result's mean.")
        parser.add_argument("--recall", type=float, default=1 / 3, help="Share of the texts with facts in them.")
        parser.add_argument("--device", default="cuda", help="As torch names it; cuda by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        from factory.recipes.distilled import DistillationOrder, make_distilled  # brings JAX and torch along

        for name in ("steps", "step_tokens", "unified_dimension", "known_layers", "correction_rank"):
            if options[name] is not None and options[name] < 1:
                raise CommandError(f"--{name.replace('_', '-')} is {options[name]}; it must be at least 1")
        if not 0 < options["mix"] <= 1:
            raise CommandError(f"--mix is {options['mix']}; it must lie above 0 and be at most 1")
        if not 0 <= options["recall"] < 1:
            raise CommandError(f"--recall is {options['recall']}; it must be at least 0 and below 1")
        if not 0 < options["rate"] < 1:
            raise CommandError(f"--rate is {options['rate']}; it must lie between 0 and 1")
        _require_device(options["device"])
        console = self.console()
        with bars(console) as display:
            session = default_session(stage=stage_in(display), metadata=METADATA)
            names = {field: options[field] for field in DistillationOrder.__dataclass_fields__}
            made = make_distilled(DistillationOrder(**names), session)
        console.print(f"{made.path}: generate_cold_start measures and lists it.", soft_wrap=True)


def _require_device(name: str) -> None:
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ModelNotSupported(
            f"torch has no device {name!r} here: {str(error).splitlines()[0]}",
            resolution="Name another one, such as cpu, which takes hours.",
        ) from error
