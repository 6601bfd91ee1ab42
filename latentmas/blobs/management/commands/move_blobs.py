"""Move the stored files from the local folder to S3 or back."""

from argparse import ArgumentParser
from typing import Any

from django.core.files.storage import InvalidStorageError
from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from latentmas.blobs.backends import Files, Stored, named
from latentmas.blobs.moving import Moved, Route, is_there, move
from latentmas.operator_command import OperatorCommand

STORAGES = ("local", "s3")


class Command(OperatorCommand):
    help = "Copy every stored file between the local folder and S3; run it again to go on where it stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", required=True, choices=STORAGES, dest="source")
        parser.add_argument("--to", required=True, choices=STORAGES, dest="target")
        parser.add_argument("--dry-run", action="store_true", help="only say how much would be copied")
        parser.add_argument("--verify", action="store_true", help="read every file back and compare its digest")
        parser.add_argument(
            "--delete-source", action="store_true", help="delete each file at its old place once it was read back"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["source"] == options["target"]:
            raise CommandError(f"--from and --to are both {options['source']}; name two storages")
        route = Route(
            _storage(options["source"]), _storage(options["target"]), options["verify"], options["delete_source"]
        )
        files = list(route.source.files())
        if options["dry_run"]:
            self._foretell(files, route)
            return
        self._report(self._move(files, route))

    def _foretell(self, files: list[Stored], route: Route) -> None:
        missing = [each for each in files if not is_there(each, route.target)]
        self.stdout.write(
            f"{len(missing)} files ({_bytes(missing)} bytes) would be copied; "
            f"{len(files) - len(missing)} ({_bytes(files) - _bytes(missing)} bytes) are there already."
        )

    def _move(self, files: list[Stored], route: Route) -> Moved:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
            task = bars.add_task(f"{len(files)} files", total=_bytes(files))
            return move(files, route, progress=lambda file: bars.advance(task, file.size))

    def _report(self, moved: Moved) -> None:
        """Print what became of the files; raise CommandError if any is not at its new place."""
        for file, reason in moved.failed:
            self.stderr.write(f"{file.digest}: {reason}")
        self.stdout.write(
            f"{len(moved.copied)} files copied ({_bytes(moved.copied)} bytes), {len(moved.skipped)} were there already "
            f"({_bytes(moved.skipped)} bytes), {len(moved.failed)} failed."
        )
        if moved.left:
            raise CommandError(f"{moved.left} files were not tried, as a storage does not answer; run this again later")
        if moved.failed:
            raise CommandError("not every file was moved; run this again when the reasons above are gone")


def _storage(name: str) -> Files:
    """Return a storage, whether or not it is the one in use. Raises CommandError."""
    try:
        storage = named(name)
    except InvalidStorageError:
        raise CommandError("S3 is not configured: set BLOBS_S3_BUCKET, for this command alone if you like") from None
    return storage


def _bytes(files: list[Stored]) -> int:
    return sum(each.size for each in files)
