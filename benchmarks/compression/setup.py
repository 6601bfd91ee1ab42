"""A model, its adapter from the registry's data file and its codec profile, calibrated where there is none."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compression.documents import documents
from factory.codec.windows import Window, read_windows
from factory.runners.model import RunningModel, load_model
from factory.runners.weights import Weights, find_weights
from kvcache.adapters import ModelAdapter, adapter_for
from kvcache.coding.profile import OpenedProfile, open_profile


@dataclass(frozen=True, slots=True)
class Bench:
    model: RunningModel
    adapter: ModelAdapter
    profile: OpenedProfile
    weights: Weights

    def windows(self, group: str, wanted: int) -> list[Window]:
        """Return windows of a group of documents that the profile was not calibrated on."""
        return read_windows(documents(group, wanted=2 * wanted), self.model, wanted=wanted)


def set_up(name: str, *, profiles: Mapping[str, str]) -> Bench:
    """Return the model ready to be measured; `profiles` names files by model."""
    from django.conf import settings

    weights = find_weights(name, cache=settings.CACHE_DIR)
    path = Path(profiles[name]) if name in profiles else _calibrated(weights, settings.CACHE_DIR / "codec")
    return Bench(load_model(weights), _adapter(name), open_profile(path), weights)


def _adapter(name: str) -> ModelAdapter:
    from latentmas.registry.data_file import read_entries

    facts = next(entry.facts for entry in read_entries() if entry.name == name)
    return adapter_for(name, family=facts.family, architecture=facts.architecture, threshold=facts.attention_threshold)


def _calibrated(weights: Weights, folder: Path) -> Path:
    """Return the profile kept in a folder, made now where it is missing."""
    from factory.codec.calibration import Settings, calibrate
    from factory.corpora import WIKIPEDIA, load_corpus
    from factory.progress import silent

    settings = Settings()
    path = folder / f"{weights.model}-{weights.digest.removeprefix('sha256:')[:16]}-{settings.version}.safetensors"
    if path.exists():
        return path
    print(f"calibrating a codec profile of {weights.model} (minutes; kept as {path.name})", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        model = load_model(weights, differentiable=True)
        calibrate(model, load_corpus(WIKIPEDIA), file, settings=settings, stage=silent)
    return Path(file.name).replace(path)
