"""The command that makes calibration packs, on a tiny model of random weights that transformers loads from a folder."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from factory.models import CalibrationPack
from factory.packs.geometry import require_geometry
from factory.packs.pack import open_pack
from factory.runners.model import geometry_of
from latentmas import blobs
from latentmas.events.models import Event
from latentmas.events.types import Metadata
from latentmas.protocol.errors import DimensionMismatch
from latentmas.registry.commands import deactivate_model
from latentmas.registry.queries import get_model
from latentmas.runners.weights import find_weights
from tests.factory.synthetic import upload
from tests.networks import llama, save

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save(llama(bos_token_id=0), folder, words=("the", "of", "and", "to", "in", "a", "is"))
    return folder


def calibrate(*options: str) -> str:
    out = StringIO()
    call_command("calibrate", "--corpus", "lee", *options, stdout=out)
    return out.getvalue()


def test_any_causal_model_gives_a_pack_that_another_server_takes(registry, own_files, weights, api):
    output = own_files / "gpt-4.pack.safetensors"
    said = calibrate("gpt-4", "--weights", str(weights), "--tokens", "2500", "--output", str(output))
    row = CalibrationPack.objects.get()
    assert (row.model, row.corpus, row.contributor) == ("gpt-4", "lee-background", None)
    assert "made" in said
    assert row.digest in said
    assert blobs.digest_of(output) == row.digest
    assert open_pack(output).document.weights == row.weights
    assert upload(api, output.read_bytes()).status_code == 200


def test_a_second_run_captures_nothing(registry, own_files, weights):
    options = ("gpt-4", "--weights", str(weights), "--tokens", "600")
    calibrate(*options)
    before = Event.objects.count()
    assert "on record already" in calibrate(*options)
    assert Event.objects.count() == before


def test_weights_that_contradict_the_registry_are_refused(registry, own_files, weights):
    with pytest.raises(CommandError, match=r"DIMENSION_MISMATCH: layers is 2; .* smollm2-135m has 30"):
        calibrate("smollm2-135m", "--weights", str(weights))
    assert not CalibrationPack.objects.exists()


def test_keys_whose_rotation_is_not_undone_are_refused(registry, own_files, weights, monkeypatch):
    from factory.runners import model

    def another_base(config, name):
        return replace(geometry_of(config, name), thetas=(500.0,) * 2)

    geometry_of = model.geometry_of
    monkeypatch.setattr(model, "geometry_of", another_base)
    with pytest.raises(CommandError, match=r"MODEL_NOT_SUPPORTED.*depend on their position"):
        calibrate("gpt-4", "--weights", str(weights))


def test_a_deactivated_model_says_why(registry, own_files):
    deactivate_model(name="gpt-4", reason="retired", metadata=Metadata(actor="test"))
    with pytest.raises(CommandError, match="is deactivated: retired"):
        calibrate("gpt-4")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("my-model",), "MODEL_NOT_SUPPORTED.*not in the registry.*load_registry --file"),
        (("bert",), "MODEL_NOT_SUPPORTED.*keeps no KV-cache"),
        (("claude-3-opus",), "MODEL_NOT_SUPPORTED.*no weights of claude-3-opus"),
        (("gpt-4", "--tokens", "0"), "--tokens is 0"),
        (("gpt-4", "--output", "/nowhere/pack"), "no folder /nowhere"),
    ],
)
def test_it_says_what_is_wrong(registry, own_files, options, reason):
    with pytest.raises(CommandError, match=reason):
        calibrate(*options)


def test_a_corpus_that_is_not_there_is_refused(registry, own_files, weights):
    with pytest.raises(CommandError, match=r"INVALID_INPUT.*neither a file nor a folder"):
        calibrate("gpt-4", "--weights", str(weights), "--corpus", "/nowhere")


@pytest.mark.models
@pytest.mark.parametrize("name", ["smollm2-135m", "gemma-3-270m"])
def test_the_packaged_models_are_what_the_registry_says(registry, name):
    from django.conf import settings
    from transformers import AutoConfig

    folder = find_weights(name, cache=settings.CACHE_DIR).folder
    geometry = geometry_of(AutoConfig.from_pretrained(folder), name)
    require_geometry(get_model(name), geometry)
    with pytest.raises(DimensionMismatch, match="thetas is"):
        require_geometry(get_model(name), replace(geometry, thetas=(500.0,) * geometry.layers))
