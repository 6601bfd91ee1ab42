"""Gradient steps on the target's own loss: right gradients, and less divergence."""

from itertools import islice

import numpy as np
import pytest

from factory.alignment.correction import fit_correction
from factory.progress import silent
from factory.refinement.descent import Refinement, gradients_of, refine
from factory.refinement.lessons import CONTINUATION_TOKENS, Lesson, read_lesson, stretches
from factory.refinement.scales import ScaledMap
from factory.runners.gradients import divergence_and_gradient, own_log_probabilities
from kvcache.exchange.mapping import open_map
from tests.tiny import corpus

RANK = 24


@pytest.fixture(scope="module")
def model(tiny):
    return tiny


@pytest.fixture(scope="module")
def lessons(model) -> list[Lesson]:
    texts = stretches([corpus(characters=2600)], seed=3)
    read = (read_lesson(stretch, source=model, target=model) for stretch in texts)
    return list(islice((lesson for lesson in read if lesson), 4))


@pytest.fixture(scope="module")
def arrays(lessons) -> dict[str, np.ndarray]:
    """A map of the model onto itself that loses much: the leading directions, and noise."""
    rows = np.concatenate([lesson.own_rows[1:] for lesson in lessons])
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    _, _, directions = np.linalg.svd((rows - mean) / scale, full_matrices=False)
    noise = np.random.default_rng(0).normal(0, 0.02, (RANK, rows.shape[1]))
    basis = (directions[:RANK] + noise).astype(np.float32)
    moments = {"source_mean": mean, "source_scale": scale, "target_mean": mean, "target_scale": scale}
    return {"encoder": basis.T, "decoder": basis, **moments}


@pytest.fixture(scope="module")
def corrected_arrays(model, lessons, arrays) -> dict[str, np.ndarray]:
    latent_map = open_map(arrays)
    residuals = [(each.own_rows[1:] - latent_map.apply(each.source_rows)) / arrays["target_scale"] for each in lessons]
    return arrays | fit_correction(residuals, width=model.geometry.layer_width)


def test_a_lesson_pairs_the_context_and_goes_on_with_the_text(model, lessons) -> None:
    lesson = lessons[0]
    assert len(lesson.source_rows) == len(lesson.own_rows) - 1
    assert len(lesson.continuation) == CONTINUATION_TOKENS
    np.testing.assert_allclose(lesson.source_rows, lesson.own_rows[1:], atol=1e-5)


def test_stretches_come_from_calibration_documents_alone_and_in_the_same_order() -> None:
    made = corpus(characters=2600)
    first = list(islice(stretches([made], seed=1), 30))
    assert first == list(islice(stretches([made], seed=1), 30))
    assert first != list(islice(stretches([made], seed=2), 30))
    calibration = [document.text for document in made.documents if document.split == "calibration"]
    assert all(any(each.context + each.following in text for text in calibration) for each in first)


def test_the_gradient_is_that_of_the_divergence(model, lessons) -> None:
    lesson = lessons[0]
    generator = np.random.default_rng(1)
    memory = lesson.own_rows + generator.normal(0, 0.2, lesson.own_rows.shape).astype(np.float32)
    wanted = own_log_probabilities(model, lesson.own_rows, lesson.continuation)
    divergence, gradient = divergence_and_gradient(model, memory, lesson.continuation, wanted=wanted)
    assert divergence > 0
    direction = gradient / np.linalg.norm(gradient)
    ahead, behind = (
        divergence_and_gradient(model, memory + step * direction, lesson.continuation, wanted=wanted)[0]
        for step in (0.02, -0.02)
    )
    assert (ahead - behind) / 0.04 == pytest.approx(np.linalg.norm(gradient), rel=0.02)


def test_its_own_memory_diverges_by_nothing(model, lessons) -> None:
    lesson = lessons[0]
    wanted = own_log_probabilities(model, lesson.own_rows, lesson.continuation)
    divergence, _ = divergence_and_gradient(model, lesson.own_rows, lesson.continuation, wanted=wanted)
    assert divergence == pytest.approx(0, abs=1e-6)


def test_steps_lower_the_divergence(model, lessons, arrays) -> None:
    settings = Refinement(steps=40, learning_rate=3e-2)
    before = _divergence(model, lessons, arrays)
    after = _divergence(model, lessons, _refined(model, lessons, arrays, settings))
    assert after < 0.8 * before


def test_the_same_lessons_give_the_same_scales(model, lessons, arrays) -> None:
    once, again = (_refined(model, lessons, arrays, Refinement(steps=8)) for _ in range(2))
    for name in ("encoder", "decoder", "target_mean"):
        np.testing.assert_array_equal(again[name], once[name])


@pytest.mark.parametrize("by_tokens", [True, False])
def test_the_gradient_reaches_every_scale(model, lessons, corrected_arrays, by_tokens) -> None:
    """Checked against differences along random directions of each scale."""
    generator = np.random.default_rng(4)
    scaled = ScaledMap(corrected_arrays, model.geometry)
    for scale in scaled.learnt.values():
        scale += generator.normal(0, 0.1, scale.shape)
    divergence, gradients = gradients_of(scaled, lessons[0], model, by_tokens=by_tokens)
    assert divergence > 0
    assert set(gradients) == (set(scaled.learnt) if by_tokens else {"latents", "features", "bias"})
    for name, gradient in gradients.items():
        direction = generator.normal(size=gradient.shape).astype(np.float32)
        direction += gradient * (np.linalg.norm(direction) / np.linalg.norm(gradient))
        direction /= np.linalg.norm(direction)
        found = []
        for step in (0.02, -0.04):  # there, and back to the other side
            scaled.learnt[name] += step * direction
            found.append(gradients_of(scaled, lessons[0], model, by_tokens=by_tokens)[0])
        scaled.learnt[name] += 0.02 * direction
        assert (found[0] - found[1]) / 0.04 == pytest.approx(float((gradient * direction).sum()), rel=0.05), name


def test_folded_in_the_scales_predict_the_same_rows(model, lessons, corrected_arrays) -> None:
    scaled = ScaledMap(corrected_arrays, model.geometry)
    generator = np.random.default_rng(5)
    for scale in scaled.learnt.values():
        scale += generator.normal(0, 0.1, scale.shape)
    folded = ScaledMap(scaled.arrays(scaled.learnt), model.geometry)
    for known in (lessons[0].own_rows[1:], None):
        rows, same = (each.predict(lessons[0].source_rows, known).rows for each in (scaled, folded))
        np.testing.assert_allclose(same, rows, atol=1e-4)


def test_without_any_scale_it_predicts_what_is_served(model, lessons, corrected_arrays) -> None:
    scaled, served = ScaledMap(corrected_arrays, model.geometry), open_map(corrected_arrays, target=model.geometry)
    source, own = lessons[0].source_rows, lessons[0].own_rows[1:]
    np.testing.assert_allclose(scaled.predict(source, None).rows, served.apply(source), atol=1e-5)
    expected = served.apply(source, own[:, : corrected_arrays["correction_encoder"].shape[1]])
    np.testing.assert_allclose(scaled.predict(source, own).rows, expected, atol=1e-4)


def test_steps_lower_the_divergence_of_a_corrected_map_too(model, lessons, corrected_arrays) -> None:
    settings = Refinement(steps=30, learning_rate=5e-3)
    refined = _refined(model, lessons, corrected_arrays, settings)
    before, after = (_divergence(model, lessons, each, by_tokens=True) for each in (corrected_arrays, refined))
    assert after < 0.97 * before


def test_steps_lower_what_they_are_taken_on_two_lessons_in_three_with_the_correction(
    model, lessons, corrected_arrays
) -> None:
    refined = _refined(model, lessons, corrected_arrays, Refinement(steps=40, learning_rate=1e-2))
    before, after = (
        2 * _divergence(model, lessons, each, by_tokens=True) + _divergence(model, lessons, each)
        for each in (corrected_arrays, refined)
    )
    assert after < 0.9 * before


def test_the_correction_helps_where_the_tokens_are_known(model, lessons, arrays, corrected_arrays) -> None:
    plain = _divergence(model, lessons, arrays)
    assert _divergence(model, lessons, corrected_arrays, by_tokens=True) < 0.9 * plain
    assert _divergence(model, lessons, corrected_arrays) == pytest.approx(plain)


def _refined(model, lessons, arrays, settings):
    return refine(arrays, iter(lessons * 100), target=model, settings=settings, progress=silent("refine"))


def _divergence(model, lessons, arrays, *, by_tokens: bool = False) -> float:
    total = 0.0
    for lesson in lessons:
        latents = (lesson.source_rows - arrays["source_mean"]) / arrays["source_scale"] @ arrays["encoder"]
        rows = latents @ arrays["decoder"] * arrays["target_scale"] + arrays["target_mean"]
        if by_tokens:
            latent_map = open_map(arrays, target=model.geometry)
            rows = latent_map.apply(lesson.source_rows, lesson.own_rows[1:, : model.geometry.layer_width])
        memory = np.concatenate([lesson.own_rows[:1], rows]).astype(np.float32)
        wanted = own_log_probabilities(model, lesson.own_rows, lesson.continuation)
        total += divergence_and_gradient(model, memory, lesson.continuation, wanted=wanted)[0]
    return total / len(lessons)
