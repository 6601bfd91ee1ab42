"""Make a model's calibration pack: what its cache holds for a public corpus."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from rich.console import Console

from factory.calibration import Calibrated, CalibrationOrder, calibrate, write_pack
from factory.console import bars, stage_in
from factory.corpora import BROAD, load_corpus
from factory.packs.capture import CALIBRATION_TOKENS
from latentmas.events.types import Metadata
from latentmas.operator_command import OperatorCommand

METADATA = Metadata(actor="command:calibrate")


class Command(OperatorCommand):
    help = (
        "Run a causal language model over a corpus and keep what its cache held as a calibration pack. Two models' "
        "packs of one corpus are enough for a W-Matrix between them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("model", help="Name, hub id or alias of a model in the registry.")
        parser.add_argument(
            "--corpus", default=BROAD, help="broad, lee, wikipedia, lee+wikipedia, a text file, folder or JSONL."
        )
        parser.add_argument("--weights", help="Folder, GGUF file or hub id; default: the packaged weights.")
        parser.add_argument("--tokens", type=int, default=CALIBRATION_TOKENS, help="Of calibration text, at most.")
        parser.add_argument("--output", type=Path, help="Write the pack to this file too.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["tokens"] < 1:
            raise CommandError(f"--tokens is {options['tokens']}; it must be at least 1")
        output: Path | None = options["output"]
        if output is not None and not output.parent.is_dir():
            raise CommandError(f"--output is {output}; there is no folder {output.parent}")
        console = self.console()
        order = CalibrationOrder(
            model=options["model"],
            read_corpus=lambda: load_corpus(options["corpus"]),
            weights=options["weights"],
            tokens=options["tokens"],
        )
        try:
            with bars(console) as display:
                done = calibrate(order, cache=settings.CACHE_DIR, stage=stage_in(display), metadata=METADATA)
            if output is not None:
                write_pack(done.pack, output)
        except KeyboardInterrupt:
            raise CommandError("interrupted; nothing was kept of this pack", returncode=130) from None
        _report(done, output, console)


def _report(done: Calibrated, output: Path | None, console: Console) -> None:
    pack = done.pack
    said = "made" if done.made else "on record already"
    lines = [
        f"Calibration pack of {pack.model} on {pack.corpus}: {said}",
        f"  {pack.documents} documents, rows {pack.width} wide, {pack.size / 1e6:.1f} MB",
        f"  weights {pack.weights}",
        f"  pack    {pack.digest}",
    ]
    lines += [] if output is None else [f"  written to {output}"]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
