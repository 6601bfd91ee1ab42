"""A factory of its own for a benchmark: an empty database in a scratch folder, converted weights from the cache."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory.packs.pack import OpenedPack
    from factory.session import FactorySession

ROOT = Path(__file__).resolve().parent.parent


def set_up_django() -> None:
    """Set up Django, with converted weights from the checkout's cache wherever the data are."""
    os.environ.setdefault("CACHE_DIR", str(ROOT / "var" / "cache"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "latentmas.settings")
    import django

    django.setup()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield the empty folder that takes the database and the files, and is thrown away at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["DATA_DIR"] = scratch
        os.environ.pop("DATABASE_URL", None)
        set_up_django()
        yield Path(scratch)


@contextmanager
def scratch_session(corpus: str | None = None) -> Iterator["FactorySession"]:
    """Yield a session whose packs are thrown away at the end."""
    with scratch_folder():
        from django.conf import settings
        from django.core.management import call_command

        from factory.corpora import load_corpus
        from factory.progress import silent
        from factory.session import FactorySession
        from latentmas.events.types import Metadata

        call_command("migrate", verbosity=0)
        yield FactorySession(
            lambda: load_corpus(corpus), settings.CACHE_DIR, Metadata(actor="command:benchmark"), silent
        )


def pack_of(name: str, session: "FactorySession", *, space: str = "kv-cache") -> "OpenedPack":
    """Return the pack in the file of that name, or the one captured now from the model of that name."""
    from factory.packs.pack import open_pack
    from factory.recipes.embeddings import embedding_pack

    if Path(name).is_file():
        return open_pack(Path(name))
    return embedding_pack(name, session) if space == "embedding" else session.pack(name)
