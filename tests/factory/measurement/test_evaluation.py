"""What the target makes of a memory. A small random model judges, on text that it wrote itself."""

import functools as ft
from dataclasses import replace

import numpy as np
import pytest

from factory.alignment.correction import fit_correction
from factory.measurement.arms import evaluate
from factory.measurement.evaluation import (
    aligned_retention,
    at_hand,
    bounds_of,
    by_source_tokens,
    exchanged,
    handed_over,
    mapped_by,
    memory_of,
    nll_of,
    whole_memory,
    with_memory_of,
)
from factory.measurement.passages import CONTINUATION_TOKENS, Passage, read_passage
from factory.progress import silent
from factory.runners.model import RunningModel
from kvcache.exchange.mapping import open_map, open_w_matrix
from kvcache.rows import rows_in
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.w_matrix import WMatrix
from tests.factory.measurement.matrices import SOURCE, halved, identity, noise, with_arrays
from tests.tiny import document, tiny_model

READ = 8  # tokens


@pytest.fixture(scope="module")
def model(tiny: RunningModel) -> RunningModel:
    return tiny


@pytest.fixture(scope="module")
def passages(model: RunningModel) -> list[Passage]:
    source = replace(model, name=SOURCE)
    found = (read_passage(document(220, seed), source=source, target=model) for seed in range(3))
    return [replace(each, continuation=written_after(each, model)) for each in found if each is not None]


@pytest.fixture(scope="module")
def passage(passages: list[Passage]) -> Passage:
    return passages[0]


def written_after(passage: Passage, model: RunningModel) -> tuple[int, ...]:
    """What the model itself says after a context, which is thereby of help."""
    ids = list(passage.context)
    for _ in range(CONTINUATION_TOKENS):
        cache = model.prefill(ids[:-1])
        ids.append(int(model.log_probabilities(cache, ids[-1:], first_position=len(ids)).argmax()))
    return tuple(ids[len(passage.context) :])


def corrected(w_matrix: WMatrix, passages: list[Passage]) -> WMatrix:
    """The W-Matrix with a correction fitted on the passages that it is judged on."""
    latent_map, scale = open_map(w_matrix.arrays), w_matrix.arrays["target_scale"]
    residuals = [(each.own_rows[1:] - latent_map.apply(each.source_rows)) / scale for each in passages]
    width = passages[0].own.frame.geometry.layer_width
    return with_arrays(w_matrix, fit_correction(residuals, width=width))


def test_a_map_that_loses_nothing_keeps_everything(model, passages) -> None:
    found = evaluate(identity(model), passages, target=model, progress=silent("score"))
    assert found.retention.aligned.value == pytest.approx(1, abs=1e-4)
    assert (found.retention.aligned.low, found.retention.aligned.high) == pytest.approx((1, 1), abs=1e-3)
    assert len(found.layers) == model.geometry.layers
    for layer in found.layers:
        assert (layer.key_cosine, layer.value_cosine) == pytest.approx((1, 1), abs=1e-4)
        assert (layer.key_error, layer.value_error) == pytest.approx((0, 0), abs=1e-4)
        assert layer.attention_cosine == pytest.approx(1, abs=1e-4)


def test_every_arm_is_scored_on_every_document(model, passages) -> None:
    found = evaluate(identity(model), passages, target=model, progress=silent("score"))
    arms = {"nothing", "own", "aligned", "source_tokens", "wrong_document", "own_tokens", "random_w"}
    arms |= {"text_half", "text_quarter", "text_eighth", "reread", "reread_nothing", "reread_stranger"}
    arms |= {"in_place", "in_place_stranger", "in_place_alone"}
    assert [score.document for score in found.documents] == [each.document for each in passages]
    for score in found.documents:
        assert set(score.nll) == arms
        assert score.scored_tokens == CONTINUATION_TOKENS - 1
        assert score.nll["aligned"] == pytest.approx(score.nll["own"], rel=1e-4)
        assert score.nll["own"] < min(score.nll["nothing"], score.nll["wrong_document"], score.nll["random_w"])
    assert max(found.retention.wrong_document.value, found.retention.random_w.value) < 0.9


def test_the_pooled_retention_is_a_ratio_of_means(model, passages) -> None:
    found = evaluate(identity(model), passages, target=model, progress=silent("score"))
    nothing, own, half = (
        np.mean([score.nll[arm] for score in found.documents]) for arm in ("nothing", "own", "text_half")
    )
    assert found.retention.text_half.value == pytest.approx((nothing - half) / (nothing - own), rel=1e-6)


def test_a_map_that_loses_half_of_each_row_keeps_less(model, passages) -> None:
    found = evaluate(halved(model), passages, target=model, progress=silent("score"))
    assert found.retention.aligned.value < 0.99
    for layer in found.layers:
        assert layer.key_error == pytest.approx(0.5, abs=1e-3)
        assert layer.key_cosine == pytest.approx(1, abs=1e-4)


def test_the_sink_is_the_files_own(model, passages) -> None:
    """A buyer has no other: a file with a wrong one is judged with it."""
    whole = identity(model)
    loud = WMatrix(whole.document, whole.arrays | {"target_bos": 5 * whole.arrays["target_bos"]})
    found = evaluate(loud, passages, target=model, progress=silent("score"))
    assert found.retention.aligned.value != pytest.approx(1, abs=1e-3)
    assert found.layers[0].key_error == pytest.approx(0, abs=1e-4)  # the sink does not count among the rows


def test_it_is_judged_by_what_exchange_hands_over(model, passage) -> None:
    memory = handed_over(open_w_matrix(identity(model)))(passage)
    np.testing.assert_allclose(rows_in(memory), passage.own_rows, atol=1e-4)
    assert memory.frame.positions.tolist() == list(range(1 + len(passage.context)))


def test_a_receiver_who_does_not_know_the_text_keeps_the_sources_tokens_and_positions(model, passage) -> None:
    memory = by_source_tokens(open_w_matrix(identity(model)))(passage)
    assert memory.frame.positions.tolist() == passage.source.frame.positions.tolist()
    np.testing.assert_allclose(rows_in(memory), rows_in(passage.source), atol=1e-4)


def test_the_targets_own_tokens_with_a_strangers_memory_are_a_control_that_fails(model, passages) -> None:
    mixed = with_memory_of(passages[0], passages[1])
    assert mixed.context == passages[0].context
    np.testing.assert_allclose(rows_in(mixed.source)[1:], rows_in(passages[1].source)[1:], atol=1e-4)
    memory = handed_over(open_w_matrix(identity(model)))
    assert nll_of(model, memory(mixed), passages[0]) > nll_of(model, memory(passages[0]), passages[0])


def test_while_a_map_is_made_it_is_tried_as_it_will_be_served(model, passage) -> None:
    arrays = identity(model).arrays
    tried, served = mapped_by(open_map(arrays))(passage), handed_over(open_w_matrix(identity(model)))(passage)
    np.testing.assert_allclose(rows_in(tried), rows_in(served), atol=1e-4)


def test_a_correction_is_judged_with_the_first_layer_that_the_target_sends(model, passages) -> None:
    plain, whole = (
        evaluate(each, passages, target=model, progress=silent("score"))
        for each in (halved(model), corrected(halved(model), passages))
    )
    assert whole.retention.aligned.value > plain.retention.aligned.value
    assert whole.layers[0].key_error == pytest.approx(0, abs=1e-4)  # it was sent
    assert whole.layers[1].key_error < plain.layers[1].key_error


def test_without_its_tokens_the_target_gets_what_the_map_alone_gives(model, passages) -> None:
    judge = ft.partial(aligned_retention, passages=passages, target=model, bounds=bounds_of(passages, target=model))
    opened = open_w_matrix(corrected(halved(model), passages))
    alone = judge(handed_over(open_w_matrix(halved(model))))
    assert judge(handed_over(opened, by_tokens=False)) == alone
    assert judge(handed_over(opened)) != alone


def test_one_document_is_too_few(model, passage) -> None:
    with pytest.raises(InvalidInput, match="at least 2 are needed"):
        evaluate(identity(model), [passage], target=model, progress=silent("score"))


def test_nothing_is_worse_than_ones_own_memory(model, passages) -> None:
    for nothing, own in bounds_of(passages, target=model):
        assert own < nothing


def test_reading_the_last_tokens_after_ones_own_memory_of_the_others_changes_nothing(model, passage) -> None:
    whole = nll_of(model, passage.own, passage)
    others = handed_over(open_w_matrix(identity(model)), leave=READ)(passage)
    assert others.frame.next_position == 1 + len(passage.context) - READ
    assert nll_of(model, others, passage, leave=READ) == pytest.approx(whole, rel=1e-4)


def test_what_is_read_again_is_not_taken_from_the_memory(model, passage) -> None:
    rows = passage.own_rows[1:].copy()
    rows[-READ:] = np.random.default_rng(0).normal(size=rows[-READ:].shape)
    own = nll_of(model, passage.own, passage)
    harmed = nll_of(model, memory_of(passage, rows), passage)
    read = nll_of(model, memory_of(passage, rows[:-READ]), passage, leave=READ)
    assert harmed != pytest.approx(own, rel=1e-3)
    assert read == pytest.approx(own, rel=1e-4)


@pytest.mark.parametrize("asked", [{}, {"leave": READ}, {"reread": np.array([5, 60, 61, 129])}])
def test_what_is_handed_over_is_a_part_of_the_whole_memory(asked) -> None:
    """Also where windows hide tokens."""
    model = tiny_model(window=48)
    source = replace(model, name=SOURCE)
    passage = read_passage(document(200), source=source, target=model)
    assert passage is not None
    opened = open_w_matrix(with_arrays(halved(model), noise(model)))
    served, part = exchanged(passage, opened, **asked).snapshot, at_hand(whole_memory(opened)(passage), **asked)
    assert part.frame.starts == served.frame.starts
    assert part.frame.next_position == served.frame.next_position
    for mine, its in ((part.frame.positions, served.frame.positions), (part.keys, served.keys)):
        np.testing.assert_allclose(mine, its, atol=1e-6)
    np.testing.assert_allclose(part.values, served.values, atol=1e-6)
