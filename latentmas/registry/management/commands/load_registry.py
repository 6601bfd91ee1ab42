"""Load the registry's data file: only what changed becomes an event, and what a curator decided is kept."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from latentmas.operator_command import OperatorCommand
from latentmas.registry import data_file


class Command(OperatorCommand):
    help = "Bring the model registry to what its data file says; facts that a curator corrected are kept and listed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, default=data_file.DEFAULT_FILE, help="another data file to load")

    def handle(self, *args: Any, **options: Any) -> None:
        loaded = data_file.load(data_file.read_entries(options["file"]))
        for name, facts in sorted(loaded.kept.items()):
            self.stdout.write(f"{name}: kept as a curator decided: {', '.join(facts)}")
        self.stdout.write(
            f"{len(loaded.registered)} models registered, {len(loaded.corrected)} corrected, "
            f"{len(loaded.unchanged)} unchanged"
        )
