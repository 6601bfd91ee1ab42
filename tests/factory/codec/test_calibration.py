"""A profile is calibrated from a running model, measured on it, published once, and good for its caches."""

from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from factory.codec import publishing
from factory.codec.calibration import Settings, calibrate
from factory.codec.curve import snapshot_of
from factory.codec.publishing import ProfileOrder, calibrate_and_publish
from factory.codec.windows import read_windows
from factory.corpora import Split
from factory.progress import silent
from factory.runners.gradients import rows_and_gradients
from factory.runners.model import RunningModel
from kvcache.coding import quantised, rate, transform, transform_decoding
from kvcache.coding.coordinates import coordinates
from kvcache.coding.profile import OpenedProfile, ProfileDocument, open_profile
from kvcache.rows import pack_rows
from kvcache.server import queries
from kvcache.server.models import CodecProfile
from latentmas.events.models import Event
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.runners.weights import Weights
from tests.tiny import NAME, WEIGHTS, corpus, document, tiny_model

CONTEXT = 96
SETTINGS = Settings(windows=12, selection_windows=3, context=CONTEXT, rank=128)
METADATA = Metadata(actor="test")
WINDOW = 24


def calibrated(model: RunningModel, folder: Path) -> tuple[ProfileDocument, OpenedProfile]:
    path = folder / "profile.safetensors"
    with path.open("wb") as file:
        made = calibrate(model, corpus(), file, settings=SETTINGS, stage=silent)
    return made, open_profile(path)


@pytest.fixture(scope="session")
def made(tiny: RunningModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[ProfileDocument, OpenedProfile]:
    return calibrated(tiny, tmp_path_factory.mktemp("calibrated"))


@pytest.fixture
def profile(made: tuple[ProfileDocument, OpenedProfile]) -> OpenedProfile:
    return made[1]


@pytest.fixture(scope="session")
def unseen(tiny: RunningModel) -> KVSnapshot:
    """The cache of a context that took no part in the calibration."""
    (window,) = read_windows(corpus().part(Split.HELD_OUT), tiny, wanted=1, context=CONTEXT)
    return snapshot_of(tiny.capture(window.context), tiny)


def error_of(keys_and_values: Any, cache: KVSnapshot, profile: OpenedProfile) -> float:
    rows, exact = (
        pack_rows(*each, geometry=cache.frame.geometry) for each in (keys_and_values, (cache.keys, cache.values))
    )
    (group,) = profile.groups
    return float(np.square((rows - exact) * group.weight).sum(1).mean())


def test_gradients_are_those_of_the_models_own_predictions(tiny: RunningModel) -> None:
    ids = tiny.encode(document(120).text).ids
    rows, gradients = rows_and_gradients(tiny, ids[:90], ids[90:], seed=3)
    assert rows.shape == gradients.shape == (91, tiny.geometry.width)
    np.testing.assert_allclose(rows, tiny.capture(ids[:90]), atol=1e-5)
    assert np.isfinite(gradients).all()
    assert (np.square(gradients).sum(1) > 0).all()
    np.testing.assert_array_equal(gradients, rows_and_gradients(tiny, ids[:90], ids[90:], seed=3)[1])
    assert (gradients != rows_and_gradients(tiny, ids[:90], ids[90:], seed=4)[1]).any()


def test_the_document_says_what_was_calibrated_on_what(made: tuple[ProfileDocument, OpenedProfile], tiny) -> None:
    document, profile = made
    assert profile.document == document
    assert (profile.model, profile.weights, profile.geometry) == (NAME, WEIGHTS, tiny.geometry)
    used = corpus()
    assert (document.corpus.name, document.corpus.digest) == (used.name, used.digest)
    assert document.corpus.documents <= len(used.part(Split.CALIBRATION))
    assert 1 <= document.judged <= len(used.part(Split.SELECTION))
    assert document.tokens == SETTINGS.windows * CONTEXT


def test_the_curve_is_measured_and_falls_with_the_ratio(profile: OpenedProfile) -> None:
    curve = profile.document.curve
    assert len(curve) == 6
    for name in ("step", "ratio", "kl", "distortion"):
        measured = [getattr(point, name) for point in curve]
        assert measured == sorted(measured)
    assert curve[0].ratio == pytest.approx(8, rel=0.05)
    assert curve[-1].ratio == pytest.approx(52, rel=0.05)
    assert curve[0].kl < curve[-1].kl / 3
    assert curve[0].top1 > curve[-1].top1
    assert all(0 <= point.top1 <= 1 for point in curve)
    factor = profile.document.kl_per_distortion
    assert factor is not None
    assert factor >= max(point.kl / point.distortion for point in curve) * (1 - 1e-6)


def test_the_bos_entry_is_the_models_own(profile: OpenedProfile, tiny, unseen: KVSnapshot) -> None:
    np.testing.assert_allclose(profile.bos, tiny.capture(())[0], rtol=1e-3, atol=1e-3)
    encoded = transform.encode(unseen, profile=profile, step=0)
    assert encoded.parameters["sink"]
    assert "exact" not in encoded.sections


def test_a_cache_comes_back_nearer_the_more_bytes_it_gets(profile: OpenedProfile, unseen: KVSnapshot) -> None:
    found = coordinates(unseen, profile=profile)
    errors = []
    for ratio in (40, 20, 10, 5):
        size = int(unseen.frame.raw_bytes / ratio)
        encoded = transform.encode_coordinates(found, step=rate.step_for_bytes(found, size=size))
        assert encoded.size <= 1.05 * size
        errors.append(error_of(transform_decoding.decode(encoded, unseen.frame, profile=profile), unseen, profile))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 5


def test_it_beats_quantisation_at_equal_bytes(profile: OpenedProfile, unseen: KVSnapshot) -> None:
    plain = quantised.encode(unseen, bits=3)
    found = coordinates(unseen, profile=profile)
    encoded = transform.encode_coordinates(found, step=rate.step_for_bytes(found, size=int(0.95 * plain.size)))
    assert encoded.size <= plain.size
    coded = error_of(transform_decoding.decode(encoded, unseen.frame, profile=profile), unseen, profile)
    assert coded < 0.7 * error_of(quantised.decode(plain, unseen.frame), unseen, profile)


def test_a_bound_is_held_on_text_that_took_no_part(profile: OpenedProfile, tiny: RunningModel) -> None:
    from factory.codec.curve import agreement, reference

    for window in read_windows(corpus().part(Split.HELD_OUT), tiny, wanted=3, context=CONTEXT):
        rows = tiny.capture(window.context)
        found = coordinates(snapshot_of(rows, tiny), profile=profile)
        bound = 2 * profile.document.curve[1].kl
        encoded = transform.encode_coordinates(found, step=rate.step_for_kl(found, kl=bound))
        restored = pack_rows(*transform_decoding.decode(encoded, found.frame, profile=profile), geometry=tiny.geometry)
        own = reference(tiny, rows, window)
        assert agreement(own, reference(tiny, restored, window)).kl <= bound


def test_a_sliding_model_gets_a_basis_for_what_its_windows_leave(tmp_path: Path) -> None:
    sliding = tiny_model(window=WINDOW)
    assert sliding.geometry.windows == (WINDOW, None)
    document, profile = calibrated(sliding, tmp_path)
    assert document.scopes == ("all", "full-attention")
    (window,) = read_windows(corpus().part(Split.HELD_OUT), sliding, wanted=1, context=CONTEXT)
    cropped = snapshot_of(sliding.capture(window.context), sliding)
    assert cropped.frame.starts == (CONTEXT + 1 - WINDOW + 1, 0)
    found = coordinates(cropped, profile=profile)
    assert [part.group.scope for part in found.parts] == ["full-attention", "all"]
    encoded = transform.encode_coordinates(found, step=rate.step_for_bytes(found, size=cropped.frame.raw_bytes // 6))
    keys, _ = transform_decoding.decode(encoded, cropped.frame, profile=profile)
    assert not keys[0, : cropped.frame.starts[0]].any()
    held = keys[1] - cropped.keys[1]
    assert np.linalg.norm(held) < 0.3 * np.linalg.norm(cropped.keys[1])


def test_a_corpus_that_is_too_small_is_refused_before_the_model_is_run(tiny: RunningModel) -> None:
    small = replace(corpus(), documents=corpus().part(Split.CALIBRATION))
    with pytest.raises(InvalidInput, match="to read") as caught:
        calibrate(tiny, small, BytesIO(), settings=SETTINGS, stage=_unused)
    assert caught.value.facts["field"] == "corpus"


def _unused(name: str) -> Any:
    raise AssertionError(f"{name} was begun")


@pytest.fixture
def runnable(tiny: RunningModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """The tiny model in the place of the packaged one; the list tells how often it was loaded, and how."""
    loaded: list[bool] = []

    def load(weights: Weights, *, differentiable: bool) -> RunningModel:
        loaded.append(differentiable)
        return replace(tiny, name=weights.model, weights=weights.digest)

    monkeypatch.setattr(publishing, "find_weights", lambda name, **_: Weights(name, tmp_path, WEIGHTS))
    monkeypatch.setattr(publishing, "load_model", load)
    return loaded


def published(**changed: Any) -> publishing.PublishedProfile:
    order = ProfileOrder(**{"model": "SmolLM2-135M", "corpus": corpus(), "settings": SETTINGS} | changed)
    return calibrate_and_publish(order, cache=Path(), stage=silent, metadata=METADATA)


@pytest.mark.django_db
def test_a_profile_is_made_once_and_then_found_on_the_record(registry, own_files, runnable: list[bool]) -> None:
    first, again = published(), published()
    assert (first.made, again.made) == (True, False)
    assert first.profile == again.profile
    assert runnable == [True]
    row = CodecProfile.objects.get()
    assert (row.model, row.weights, row.version, row.width) == (NAME, WEIGHTS, "1.0.0", 128)
    assert row.basis == "functional"
    assert queries.profile_for(NAME, WEIGHTS) == row
    opened = queries.open_profile(row)
    assert (opened.digest, opened.size) == (row.digest, row.size)
    assert [float(point["ratio"]) for point in row.curve] == [point.ratio for point in opened.document.curve]
    assert row.measured_on["documents"] == opened.document.judged
    assert Event.objects.filter(type="codec_profile.published").count() == 1


@pytest.mark.django_db
def test_another_version_or_corpus_is_another_profile(registry, own_files, runnable: list[bool]) -> None:
    first = published()
    other = published(settings=replace(SETTINGS, version="1.1.0"))
    assert other.made
    assert other.profile.digest != first.profile.digest
    assert published(corpus=corpus(documents=30)).made
    assert CodecProfile.objects.count() == 3


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("\n\n".join(each.text for each in corpus().documents))
    return path


@pytest.mark.django_db
def test_the_command_shows_the_curve_and_then_says_that_it_is_on_record(
    registry, own_files, runnable: list[bool], corpus_file: Path
) -> None:
    answers = []
    for _ in range(2):
        out = StringIO()
        sizes = ["--windows", "8", "--context", str(CONTEXT), "--rank", "64"]
        call_command("calibrate_codec", NAME, "--corpus", str(corpus_file), *sizes, stdout=out)
        answers.append(" ".join(out.getvalue().split()))
    row = CodecProfile.objects.get()
    assert f"Codec profile of {NAME} 1.0.0: made" in answers[0]
    assert "on record already" in answers[1]
    for answer in answers:
        assert row.digest in answer
        assert "top-1 agreement" in answer
        assert f"{float(row.curve[0]['ratio']):.1f}" in answer
    assert row.corpus["name"] == "corpus.txt"
    assert runnable == [True]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gpt-unheard-of"], "MODEL_NOT_SUPPORTED"),
        ([NAME, "--windows", "1"], "--windows is 1; it must be at least 2"),
        ([NAME, "--rank", "0"], "--rank is 0"),
        ([NAME, "--corpus", "/nowhere"], "INVALID_INPUT: the corpus '/nowhere' is neither a file nor a folder"),
        ([NAME, "--profile-version", "one"], "INVALID_INPUT"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], said: str, registry, own_files, runnable: list[bool], corpus_file: Path
) -> None:
    corpus_given = [] if "--corpus" in arguments else ["--corpus", str(corpus_file)]
    context = ["--context", str(CONTEXT)]
    with pytest.raises(CommandError, match=said):
        call_command("calibrate_codec", *arguments, *corpus_given, *context, stdout=StringIO())
