"""The session of a factory run: loads each model once, and captures and records each missing pack once."""

import ctypes
import functools as ft
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from factory.commands import record_pack
from factory.corpora import TextCorpus
from factory.corpora.selection import load_foreign, load_selection
from factory.corpora.suite import EvaluationSuite, SuiteCell, load_suite
from factory.distillation.maps import DistilledMap, find_map
from factory.events import PackRecorded
from factory.models import CalibrationPack
from factory.packs.capture import CALIBRATION_TOKENS, capture_pack
from factory.packs.pack import OpenedPack, open_pack
from factory.progress import Stage
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.w_matrix import Space
from latentmas.runners.weights import Weights, find_weights

if TYPE_CHECKING:
    from factory.runners.model import RunningModel


@dataclass(slots=True)
class FactorySession:
    """Corpus, weights, models and calibration packs of one run, each found or loaded when it is first asked for."""

    read_corpus: Callable[[], TextCorpus]  # called once, and only where a model is run
    cache: Path
    metadata: Metadata
    stage: Stage
    calibration_tokens: int = CALIBRATION_TOKENS
    locations: Mapping[str, str] = field(default_factory=dict)  # model -> folder, GGUF file or hub id
    packs: Mapping[str, OpenedPack] = field(default_factory=dict)  # model -> pack to use instead of its own
    recorded_digest: str | None = None  # of the corpus, where it is known without reading it
    read_suite: Callable[[], EvaluationSuite] = load_suite  # the core, where nothing else is asked for
    read_selection: Callable[[], tuple[SuiteCell, ...]] = load_selection  # what is chosen and forecast on
    read_foreign: Callable[[], tuple[SuiteCell, ...]] = load_foreign  # what forecasts alone are fitted on, beside it
    _corpus: TextCorpus | None = None
    _suite: EvaluationSuite | None = None
    _weights: dict[str, Weights] = field(default_factory=dict)
    _models: "dict[str, RunningModel]" = field(default_factory=dict)

    @property
    def corpus(self) -> TextCorpus:
        """The text to calibrate and evaluate on. Raises InvalidInput or TooLarge."""
        if self._corpus is None:
            self._corpus = self.read_corpus()
            if self.recorded_digest not in (None, self._corpus.digest):
                raise InvalidInput(
                    f"the corpus {self._corpus.name} has the digest {self._corpus.digest}, not {self.recorded_digest}: "
                    "its texts are installed at other versions",
                    resolution="Install the versions of constraints.txt (`make setup`).",
                    field="corpus",
                )
        return self._corpus

    @property
    def corpus_digest(self) -> str:
        """The corpus' digest; a corpus that comes with the product is not read for it."""
        return self.recorded_digest or self.corpus.digest

    @property
    def suite(self) -> EvaluationSuite:
        """The texts to measure on, whatever the corpus is. Raises InvalidInput where one is missing."""
        if self._suite is None:
            self._suite = self.read_suite()
        return self._suite

    @property
    def selection(self) -> tuple[SuiteCell, ...]:
        """The documents that ranks are chosen on and forecasts are fitted on, whatever the corpus is."""
        return self.read_selection()

    @property
    def foreign(self) -> tuple[SuiteCell, ...]:
        """Documents unlike any that a map is calibrated on, by which forecasts learn what is lost."""
        return self.read_foreign()

    def weights(self, name: str) -> Weights:
        """Return a model's weights. Raises ModelNotSupported or StorageUnavailable."""
        if name not in self._weights:
            progress = self.stage(f"find or convert {name}")
            progress(0, 1)
            self._weights[name] = find_weights(name, cache=self.cache, location=self.locations.get(name))
            progress(1, 1)
        return self._weights[name]

    def distilled_map(self, source: str, target: str) -> DistilledMap | None:
        """Return the distilled map between two models' weights, None where none is at hand."""
        return find_map(self.weights(source).digest, self.weights(target).digest, cache=self.cache)

    def model(self, name: str) -> "RunningModel":
        """Return a loaded model. Raises ModelNotSupported."""
        if name not in self._models:
            from factory.runners.model import load_model  # brings JAX along

            self._models[name] = load_model(self.weights(name))
        return self._models[name]

    def learner(self, name: str) -> "RunningModel":
        """Load the model anew, with gradients through its cache. Raises ModelNotSupported.

        In bfloat16 where the processor computes with it; where it only emulates it, that is many times slower.
        """
        import torch

        from factory.runners.model import load_model

        known = torch.cpu.get_capabilities()
        half = bool(known.get("avx512_bf16") or known.get("amx_bf16"))
        return load_model(self.weights(name), differentiable=True, half=half)

    def unload_models(self, *, keep: str | None = None) -> None:
        """Free the memory of all models except `keep`; they load again in seconds when they are asked for."""
        self._models = {name: model for name, model in self._models.items() if name == keep}
        return_freed_memory()

    def pack(self, name: str) -> OpenedPack:
        """Return the model's pack for this corpus, captured and recorded now if it is not on record yet.

        A contributed pack is used only if it was given in `packs`.
        """
        if name in self.packs:
            return self.packs[name]
        capture = ft.partial(self._capture, name)
        return self.recorded(name, capture, space=Space.KV_CACHE, amount=self.calibration_tokens)

    def recorded(self, name: str, capture: Callable[[BinaryIO], None], *, space: Space, amount: int) -> OpenedPack:
        """Return the model's pack of a space for this corpus; `capture` writes it now if it is not on record yet.

        `amount` is the pack's budget of calibration text: tokens for KV-caches, passages for embeddings.
        """
        found = self.on_record(name, space=space, amount=amount)
        if found is not None:
            return open_pack(blobs.local_path(found.digest))
        digest = blobs.put(capture)
        pack = open_pack(blobs.local_path(digest))
        record_pack(
            PackRecorded(
                digest=digest,
                size=blobs.size(digest),
                model=name,
                weights=self.weights(name).digest,
                corpus=self.corpus.name,
                corpus_digest=self.corpus.digest,
                calibration_tokens=amount,
                documents=len(pack.document.documents),
                width=pack.document.width,
                space=space,
            ),
            metadata=self.metadata,
        )
        return pack

    def on_record(self, name: str, *, space: Space, amount: int) -> CalibrationPack | None:
        """Return the pack that was captured here from just these weights and this corpus, if its file is stored."""
        rows = CalibrationPack.objects.filter(
            model=name,
            weights=self.weights(name).digest,
            corpus_digest=self.corpus_digest,
            calibration_tokens=amount,
            space=space,
            contributor__isnull=True,
        )
        return next((row for row in rows if blobs.exists(row.digest)), None)

    def _capture(self, name: str, file: BinaryIO) -> None:
        self.unload_models(keep=name)
        model, progress = self.model(name), self.stage(f"capture {name}")
        capture_pack(model, self.corpus, file, calibration_tokens=self.calibration_tokens, progress=progress)


def return_freed_memory() -> None:
    """Return freed memory to the operating system: after thousands of mid-sized arrays glibc keeps gigabytes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
