"""Delete stored files that nobody names: a command stores its file before its event, and may die between the two."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from latentmas.blobs import files
from latentmas.blobs.backends import Stored, chosen
from latentmas.blobs.holders import held

OLD = timedelta(days=1)  # longer than any command takes from its file to its event


@dataclass(frozen=True, slots=True)
class Swept:
    orphans: tuple[Stored, ...]  # deleted, unless it was a dry run
    seen: int  # all files
    unfinished: int  # remains of writers that died


def sweep(*, older_than: timedelta = OLD, dry_run: bool = False) -> Swept:
    """Delete the files that are older and that no holder names, and return what was done.

    Nothing is deleted if a holder fails. Raises StorageUnavailable.
    """
    storage, before = chosen(), datetime.now(UTC) - older_than
    seen = {each.digest: each for each in storage.files()}
    old = frozenset(digest for digest, each in seen.items() if each.modified < before)
    kept = held(old)
    orphans = tuple(seen[digest] for digest in sorted(old - kept))
    if dry_run:
        return Swept(orphans, len(seen), unfinished=0)
    deleted = tuple(each for each in orphans if _delete(each, before))
    return Swept(deleted, len(seen), storage.discard_unfinished(before))


def _delete(orphan: Stored, before: datetime) -> bool:
    """Delete an orphan unless somebody has put it again since the files were listed."""
    now = chosen().look(orphan.name)
    if now is None or now.modified >= before:
        return False
    files.delete(orphan.digest)
    return True
