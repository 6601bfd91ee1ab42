"""Two tiny models that run here, a seller's listing between them, and the certifier's job."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.walks import corpus, save_model
from factory import contributed
from factory.certifying import jobs, private
from factory.corpora import Document, Split, TextCorpus, load_corpus
from factory.corpora.documents import digest_of, split_of
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.progress import silent
from factory.recipes.draft import drafted
from factory.recipes.maps import FunctionalOrder
from factory.session import FactorySession
from latentmas.events.types import Metadata
from latentmas.jobs.models import Job
from latentmas.protocol.w_matrix import WMatrix
from marketplace.listings.commands import create_listing, publish_version, request_certification
from tests.marketplace import sample
from tests.work import work

pytest.importorskip("torch")

SOURCE, TARGET = "gpt-4", "claude-3-opus"  # names of the registry, of whose caches nothing is published
PASSAGES, LENGTH = 5, 128
Publish = Callable[..., str]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two tiny models that expect the words that they have read, so that a memory is of use to them."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate((SOURCE, TARGET)):
        save_model(folder / name, seed)
    return {name: str(folder / name) for name in (SOURCE, TARGET)}


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> TextCorpus:
    return load_corpus(corpus(tmp_path_factory.mktemp("corpus") / "corpus.txt"))


def public_suite(texts: TextCorpus) -> EvaluationSuite:
    documents = texts.part(Split.HELD_OUT)[:PASSAGES]
    cell = SuiteCell("words", LENGTH, lambda: documents, len(documents), wanted=PASSAGES)
    return EvaluationSuite("suite/test", "sha256:" + "0" * 64, (cell,))


@pytest.fixture(scope="session")
def kept_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept from test to test: a passage of the public suite that one of them has scored is not scored again."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def fitted() -> dict[str, WMatrix]:
    """The W-Matrices that a test has fitted, for the tests after it."""
    return {}


@pytest.fixture
def new_session(
    folders: dict[str, str], texts: TextCorpus, kept_cache: Path, own_files: Path
) -> Callable[..., FactorySession]:
    """Makes a session that has read nothing and loaded nothing yet."""
    chosen = texts.part(Split.CALIBRATION)
    selection = SuiteCell("words", LENGTH, lambda: chosen, len(chosen), wanted=8)

    def make(**_options: Any) -> FactorySession:
        return FactorySession(
            lambda: texts,
            kept_cache,
            Metadata(actor="test"),
            silent,
            calibration_tokens=4000,
            locations=folders,
            read_suite=lambda: public_suite(texts),
            read_selection=lambda: (selection,),
            read_foreign=tuple,
        )

    return make


@pytest.fixture
def certifier(new_session, registry, texts, tmp_path, settings, monkeypatch) -> None:
    """A certifier with private texts of its own, who can run both models."""
    monkeypatch.setattr(contributed, "PACKAGED", {SOURCE: None, TARGET: None})
    monkeypatch.setattr(jobs, "default_session", new_session)
    monkeypatch.setattr(private, "WANTED", 8)
    monkeypatch.setattr(private.secrets, "randbits", lambda _bits: 5)  # the same texts in every run
    folder = tmp_path / "private"
    folder.mkdir()
    for number, document in enumerate(texts.part(Split.HELD_OUT)[PASSAGES:]):
        (folder / f"{number}.txt").write_text(document.text)
    settings.PRIVATE_TEXTS = str(folder)


@pytest.fixture
def honest(new_session, registry, fitted, monkeypatch) -> WMatrix:
    """A W-Matrix as a seller may fit it."""
    monkeypatch.setattr("factory.recipes.maps.FORECAST_TOKENS", 64)  # the texts are short
    if "honest" not in fitted:
        order = FunctionalOrder(SOURCE, TARGET, "1.0.0", 300, unified_dimension=128)
        fitted["honest"] = drafted(order, new_session()).w_matrix
    return fitted["honest"]


@pytest.fixture
def overfitted(new_session, registry, texts, monkeypatch) -> WMatrix:
    """A W-Matrix that was fitted on the very documents of the public suite."""
    monkeypatch.setattr("factory.recipes.maps.FORECAST_TOKENS", 64)
    groups = (group for group in map(str, itertools.count()) if split_of(group) is Split.CALIBRATION)
    public = public_suite(texts).cells[0].documents
    copies = [f"{document.text} word{copy}" for document in public for copy in range(3)]  # enough tokens to fit on
    learnt = tuple(Document(text, digest_of(text), group) for text, group in zip(copies, groups, strict=False))
    session = new_session()
    session.read_corpus = lambda: replace(texts, documents=learnt, digest="sha256:" + "1" * 64)
    session.read_selection = lambda: (SuiteCell("words", LENGTH, lambda: learnt, len(learnt), wanted=8),)
    return drafted(FunctionalOrder(SOURCE, TARGET, "1.0.0", 300, unified_dimension=128), session).w_matrix


@pytest.fixture
def publish(registry, tmp_path) -> Publish:
    """Puts a seller's file on record, declared platinum, and returns its listing's id."""

    def upload(w_matrix: WMatrix, version: str = "1.0.0") -> str:
        path = tmp_path / "upload"
        with path.open("wb") as file:
            w_matrix.write(file)
        created = sample.listing_created(SOURCE, TARGET)
        create_listing(created, metadata=sample.METADATA)
        document = w_matrix.document
        publication = sample.published(
            version,
            quality=sample.functional(0.999),
            content=path.read_bytes(),
            source_weights=document.source_weights,
            target_weights=document.target_weights,
            report=None,
        )
        publish_version(created.listing_id, published=publication, metadata=sample.METADATA)
        return created.listing_id

    return upload


def certified(listing_id: str, version: str = "1.0.0") -> Job:
    """Let the certifier do its work on a version, and return the job as it then is."""
    job = request_certification(listing_id, version=version, requested_by="token:seller")
    list(work())
    job.refresh_from_db()
    return job
