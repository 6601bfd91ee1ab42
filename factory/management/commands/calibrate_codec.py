"""Make the codec profile of a model and put it on record."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings as django_settings
from django.core.management.base import CommandError
from rich.console import Console
from rich.table import Table

from factory.codec.calibration import Settings
from factory.codec.publishing import ProfileOrder, PublishedProfile, calibrate_and_publish
from factory.console import bars, stage_in
from factory.corpora import WIKIPEDIA, load_corpus
from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand

METADATA = Metadata(actor="command:calibrate_codec")


class Command(OperatorCommand):
    help = "Calibrate the transform code of a model: what its caches have in common, learned once and downloaded once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        usual = Settings()
        parser.add_argument("model", help="Name, hub id or alias of a model in the registry.")
        parser.add_argument("--weights", help="Folder, GGUF file or hub id; default: the packaged weights.")
        parser.add_argument("--corpus", default=WIKIPEDIA, help="lee, wikipedia, a text file, folder or JSONL.")
        parser.add_argument("--windows", type=int, default=usual.windows, help="Contexts to learn from.")
        parser.add_argument("--context", type=int, default=usual.context, help="Tokens of each.")
        parser.add_argument("--rank", type=int, default=usual.rank, help="Directions of each layer group to keep.")
        parser.add_argument("--profile-version", default=usual.version)

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("windows", "context", "rank"):
            if options[name] < 2:
                raise CommandError(f"--{name} is {options[name]}; it must be at least 2")
        console = self.console()
        chosen = Settings(
            windows=options["windows"],
            context=options["context"],
            rank=options["rank"],
            version=options["profile_version"],
        )
        order = ProfileOrder(options["model"], load_corpus(options["corpus"]), chosen, options["weights"])
        with bars(console) as display:
            published = calibrate_and_publish(
                order, cache=django_settings.CACHE_DIR, stage=stage_in(display), metadata=METADATA
            )
        _report(published, console)


def _report(published: PublishedProfile, console: Console) -> None:
    profile = published.profile
    said = "made" if published.made else "on record already"
    table = Table(title=f"Codec profile of {profile.model} {profile.version}: {said}, {profile.size / 1e6:.1f} MB")
    for heading in ("ratio", "KL (nats)", "top-1 agreement"):
        table.add_column(heading)
    for point in profile.curve:
        ratio, kl, top1 = (float(point[name]) for name in ("ratio", "kl", "top1"))
        table.add_row(f"{ratio:.1f}", f"{kl:.4f}", f"{top1:.4f}")
    console.print(table)
    console.print(profile.digest, markup=False, highlight=False)
