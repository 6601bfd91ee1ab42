"""What benchmarks share: settings, a factory of their own in a scratch folder, cores, and W-Matrices to measure."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory.packs.pack import OpenedPack
    from factory.runners.model import RunningModel
    from factory.session import FactorySession
    from kvcache.exchange.mapping import OpenedWMatrix
    from latentmas.protocol.w_matrix import WMatrixDocument

MODELS = ("smollm2-135m", "gemma-3-270m")
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


def models_of(document: "WMatrixDocument") -> "tuple[RunningModel, RunningModel]":
    """Return a W-Matrix's source and target, loaded."""
    from django.conf import settings

    from factory.runners.model import load_model
    from latentmas.runners.weights import find_weights

    names = document.source_model, document.target_model
    source, target = (load_model(find_weights(name, cache=settings.CACHE_DIR)) for name in names)
    return source, target


def pin(threads: int) -> None:
    """Keep the process, with all that BLAS and XLA will start, on as many cores as there are to be threads."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:threads])


def w_matrices(paths: "list[Path] | None") -> "list[OpenedWMatrix]":
    """Return the W-Matrices of the files, or the best certified ones of both directions.

    They are opened as files with a forecast are, which all that are made here have: it takes its time, too.
    """
    from kvcache.exchange.mapping import open_w_matrix
    from latentmas import blobs
    from latentmas.protocol.w_matrix import read_w_matrix

    if not paths:
        from django.utils import timezone

        from marketplace.listings.choosing.choice import best

        pairs = (MODELS, MODELS[::-1])
        listed = [best(source_model=one, target_model=two, at=timezone.now()) for one, two in pairs]
        paths = [blobs.local_path(each.file_digest) for each in listed]
    return [open_w_matrix(read_w_matrix(path), explain=True) for path in paths]
