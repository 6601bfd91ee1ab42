"""A model, its adapter from the registry's data file and its codec profile, calibrated where there is none."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compression.documents import documents
from factory.codec.calibration import Settings, calibrate
from factory.codec.windows import Window, read_windows
from factory.corpora import WIKIPEDIA, Document, Split, load_corpus
from factory.progress import silent
from factory.runners.model import RunningModel, load_model
from kvcache.adapters import ModelAdapter, adapter_for
from kvcache.coding.profile import OpenedProfile, open_profile
from latentmas.runners.weights import Weights, find_weights


@dataclass(frozen=True, slots=True)
class Bench:
    model: RunningModel
    adapter: ModelAdapter
    profile: OpenedProfile
    weights: Weights

    def calibration(self) -> list[Window]:
        """Return the windows that the profile was calibrated on, where it was made here."""
        return read_windows(_calibration_documents(), self.model, wanted=Settings().windows)

    def kept(self, name: str) -> Path:
        """Return the path of something that is made once for these weights and this calibration text."""
        return _kept(self.weights, name)

    def windows(self, group: str, wanted: int) -> list[Window]:
        """Return windows of a group of documents that the profile was not calibrated on."""
        return read_windows(documents(group, wanted=2 * wanted), self.model, wanted=wanted)


def set_up(name: str, *, profiles: Mapping[str, str]) -> Bench:
    """Return the model ready to be measured; `profiles` names files by model."""
    from django.conf import settings

    weights = find_weights(name, cache=settings.CACHE_DIR)
    path = Path(profiles[name]) if name in profiles else _calibrated(weights)
    return Bench(load_model(weights), _adapter(name), open_profile(path), weights)


def _adapter(name: str) -> ModelAdapter:
    from latentmas.registry.data_file import read_entries

    facts = next(entry.facts for entry in read_entries() if entry.name == name)
    return adapter_for(name, family=facts.family, architecture=facts.architecture, threshold=facts.attention_threshold)


def _calibrated(weights: Weights) -> Path:
    """Return the profile kept in the cache folder, made now where it is missing."""
    settings = Settings()
    path = _kept(weights, f"profile-{settings.version}.safetensors")
    if path.exists():
        return path
    print(f"calibrating a codec profile of {weights.model} (minutes; kept as {path.name})", flush=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        model = load_model(weights, differentiable=True)
        calibrate(model, load_corpus(WIKIPEDIA), file, settings=settings, stage=silent)
    return Path(file.name).replace(path)


def _kept(weights: Weights, name: str) -> Path:
    """Return a path in the cache folder that no other weights and no other calibration text share."""
    from django.conf import settings

    text = hashlib.sha256("".join(each.digest for each in _calibration_documents()).encode()).hexdigest()
    folder = settings.CACHE_DIR / "codec"
    folder.mkdir(parents=True, exist_ok=True)
    return Path(folder / f"{weights.model}-{weights.digest.removeprefix('sha256:')[:16]}-{text[:8]}-{name}")


def _calibration_documents() -> Sequence[Document]:
    return load_corpus(WIKIPEDIA).part(Split.CALIBRATION)
