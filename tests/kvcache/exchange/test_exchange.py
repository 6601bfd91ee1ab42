from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvcache.exchange.exchange import exchange
from kvcache.exchange.mapping import open_w_matrix
from kvcache.exchange.placement import Mode, TargetTokens
from kvcache.exchange.policy import Decision
from kvcache.rows import unpack_rows
from latentmas.protocol.eight_bit import to_eight_bit
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.exchange.sample import (
    ANY,
    GEOMETRY,
    OTHER,
    WINDOWED,
    bos_of,
    cache,
    rows_in,
    rows_of,
    w_matrix,
)


def shifted(snapshot: KVSnapshot, by: int) -> KVSnapshot:
    """The same tokens without BOS, from another position on."""
    frame, rows = snapshot.frame, rows_in(snapshot)[1:]
    positions = frame.positions[1:] + by
    keys, values = unpack_rows(rows, geometry=frame.geometry, positions=positions)
    cut = frame.select(np.arange(1, frame.tokens))
    return KVSnapshot(replace(cut, positions=positions, next_position=int(positions[-1]) + 1), keys, values)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(0, 5))
def test_the_identity_between_equal_geometries_gives_the_memory_back(tokens: int, seed: int) -> None:
    snapshot = cache(tokens, seed=seed)
    done = exchange(snapshot, w_matrix(), policy=ANY)
    assert done.decision is Decision.APPLIED
    assert done.snapshot.frame.positions.tolist() == snapshot.frame.positions.tolist()
    assert done.snapshot.frame.next_position == snapshot.frame.next_position
    np.testing.assert_allclose(done.snapshot.keys[:, 1:], snapshot.keys[:, 1:], atol=2e-5)
    np.testing.assert_allclose(done.snapshot.values[:, 1:], snapshot.values[:, 1:], atol=1e-5)


def test_the_targets_sink_takes_the_place_of_the_sources() -> None:
    done = exchange(cache(), w_matrix(), policy=ANY)
    np.testing.assert_allclose(rows_in(done.snapshot)[0], 2 * bos_of(), atol=1e-4)
    assert done.snapshot.frame.offsets[0].tolist() == [0, 0]


def test_the_frame_names_the_target_but_no_weights_that_made_it() -> None:
    frame = exchange(cache(context="sha256:" + "c" * 64), w_matrix(GEOMETRY, OTHER), policy=ANY).snapshot.frame
    assert (frame.model, frame.weights, frame.geometry) == ("beta", None, OTHER)
    assert frame.context == "sha256:" + "c" * 64


def test_rows_are_mapped_as_the_specification_says_and_rotated_as_the_target_does() -> None:
    matrix = w_matrix(GEOMETRY, OTHER)
    done = exchange(cache(), matrix, policy=ANY)
    expected = rows_of(20)[1:] @ matrix.arrays["encoder"] @ matrix.arrays["decoder"]
    keys, values = unpack_rows(expected, geometry=OTHER, positions=np.arange(1, 21))
    np.testing.assert_allclose(done.snapshot.keys[:, 1:], keys, atol=1e-5)
    np.testing.assert_allclose(done.snapshot.values[:, 1:], values, atol=1e-5)


def test_an_opened_w_matrix_serves_as_the_file_does() -> None:
    matrix = w_matrix(GEOMETRY, OTHER)
    one, other = (exchange(cache(), each, policy=ANY).snapshot for each in (matrix, open_w_matrix(matrix)))
    np.testing.assert_array_equal(one.keys, other.keys)


def test_an_8_bit_w_matrix_maps_nearly_alike() -> None:
    matrix = w_matrix(GEOMETRY, OTHER)
    small = w_matrix(GEOMETRY, OTHER, arrays=to_eight_bit(matrix.arrays))
    exact, near = (exchange(cache(), each, policy=ANY).snapshot for each in (matrix, small))
    error = np.linalg.norm(near.values - exact.values) / np.linalg.norm(exact.values)
    assert 0 < error < 0.02


def test_long_memories_are_mapped_tile_by_tile() -> None:
    matrix = w_matrix(GEOMETRY, OTHER)
    done = exchange(cache(1500), matrix, policy=ANY).snapshot
    short = exchange(cache(1500).select(np.array([0, 1400])), matrix, policy=ANY).snapshot
    np.testing.assert_allclose(done.keys[:, 1400], short.keys[:, 1], atol=1e-4)


def test_a_memory_without_bos_moves_up_by_one() -> None:
    snapshot = shifted(cache(), -1)
    done = exchange(snapshot, w_matrix(), policy=ANY)
    assert done.snapshot.frame.positions.tolist() == list(range(21))
    np.testing.assert_allclose(rows_in(done.snapshot)[1:], rows_of(20)[1:], atol=2e-5)
    assert any("read without BOS" in finding for finding in done.findings)


def test_bos_is_recognised_by_its_row_where_there_are_no_offsets() -> None:
    noisy = cache(offsets=None)
    noisy.values[:, 0] *= 1.05
    done = exchange(noisy, w_matrix(), policy=ANY)
    assert done.snapshot.frame.tokens == 21
    assert not any("BOS" in finding for finding in done.findings)


def test_a_first_token_in_the_sinks_place_is_not_handed_over() -> None:
    snapshot = shifted(cache(), -1)
    # Not BOS itself, which it would be by a fifth, but nearer to it than to the mean token.
    keys, values = unpack_rows(bos_of()[None], geometry=GEOMETRY)
    snapshot.keys[:, 0], snapshot.values[:, 0] = 0.6 * keys[:, 0], 0.6 * values[:, 0]
    done = exchange(snapshot, w_matrix(), policy=ANY)
    assert done.snapshot.frame.positions.tolist() == [0, *range(2, 21)]
    assert done.dropped == 1
    assert any("took the attention sink's place" in finding for finding in done.findings)


def test_without_the_sources_sink_a_first_token_is_a_token() -> None:
    snapshot = shifted(cache(), -1)
    snapshot.keys[:, 0] = snapshot.values[:, 0] = 3
    done = exchange(snapshot, w_matrix(without=("source_bos",)), policy=ANY)
    assert done.snapshot.frame.tokens == 21


def test_a_memory_from_the_middle_of_a_context_keeps_its_places() -> None:
    done = exchange(shifted(cache(), 6), w_matrix(), policy=ANY)
    assert done.snapshot.frame.positions.tolist() == [0, *range(7, 27)]


def test_gaps_of_a_selection_stay_gaps() -> None:
    kept = np.array([0, 1, 2, 7, 8, 19])
    done = exchange(cache().select(kept), w_matrix(), policy=ANY)
    frame = done.snapshot.frame
    assert frame.positions.tolist() == kept.tolist()
    assert (frame.next_position, frame.missing) == (21, 15)
    np.testing.assert_allclose(rows_in(done.snapshot)[1:], rows_of(20)[kept[1:]], atol=2e-5)


def test_sliding_layers_of_the_target_keep_what_the_window_holds() -> None:
    done = exchange(cache(), w_matrix(GEOMETRY, WINDOWED), policy=ANY)
    # The token at position 21 sees itself and the three before it.
    assert done.snapshot.frame.starts == (18, 0)
    assert not done.snapshot.keys[0, :18].any()
    assert done.snapshot.keys[0, 18:].all()
    assert done.snapshot.keys[1].all()


def cropped(tokens: int = 20) -> KVSnapshot:
    snapshot = cache(tokens, WINDOWED)
    snapshot.keys[0, :18] = snapshot.values[0, :18] = 0
    return replace(snapshot, frame=replace(snapshot.frame, starts=(18, 0)))


def test_a_cropped_source_is_refused_with_what_to_do() -> None:
    with pytest.raises(DimensionMismatch, match="18 of the 21 tokens are missing") as refused:
        exchange(cropped(), w_matrix(WINDOWED, GEOMETRY), policy=ANY)
    assert "uncropped" in refused.value.advice
    assert refused.value.facts["decision"] == "unsupported"


def test_the_tail_that_every_layer_holds_is_handed_over_on_request() -> None:
    done = exchange(cropped(), w_matrix(WINDOWED, GEOMETRY), policy=replace(ANY, allow_partial=True))
    assert done.snapshot.frame.positions.tolist() == [0, 18, 19, 20]
    assert done.snapshot.frame.next_position == 21
    assert done.dropped == 17
    np.testing.assert_allclose(rows_in(done.snapshot)[1:], rows_of(20, WINDOWED)[18:], atol=2e-5)


# Target tokens of one character each: 0-1, 1-2, 2-3 ...; source tokens stand for two.
CHARACTERS = np.array([(i, i + 1) for i in range(8)])


def test_target_tokens_take_their_causal_partners() -> None:
    done = exchange(cache(4), w_matrix(), target=TargetTokens(CHARACTERS), policy=ANY)
    frame = done.snapshot.frame
    assert done.mode is Mode.SPANS
    assert frame.positions.tolist() == list(range(9))
    assert frame.offsets[1:].tolist() == CHARACTERS.tolist()
    rows = rows_of(4)
    # Nothing has ended before the first character: its partner is BOS.
    expected = rows[[0, 1, 1, 2, 2, 3, 3, 4]]
    np.testing.assert_allclose(rows_in(done.snapshot)[1:], expected, atol=2e-5)


def test_the_memory_ends_with_the_target_tokens_that_are_given() -> None:
    """The rest is for the target to read: it goes on at the position after them."""
    whole, part = (
        exchange(cache(4), w_matrix(), target=TargetTokens(each), policy=ANY).snapshot
        for each in (CHARACTERS, CHARACTERS[:5])
    )
    assert part.frame.next_position == part.frame.tokens == 6
    np.testing.assert_array_equal(part.values, whole.values[:, :6])


def test_the_tokenizers_own_bos_may_come_along_with_the_ids() -> None:
    spans, ids = np.concatenate([[(0, 0)], CHARACTERS]), np.arange(2, 11)
    frame = exchange(cache(4), w_matrix(), target=TargetTokens(spans, ids), policy=ANY).snapshot.frame
    assert frame.token_ids.tolist() == ids.tolist()
    assert frame.tokens == 9


def test_target_tokens_whose_partner_was_dropped_are_dropped_and_the_rest_keeps_its_places() -> None:
    snapshot = cache(4).select(np.array([0, 1, 4]))  # tokens 2 and 3, characters 2 to 5, are gone
    spans = TargetTokens(CHARACTERS, source_spans=cache(4).frame.offsets)
    exact = exchange(snapshot, w_matrix(), target=spans, policy=ANY)
    assert exact.snapshot.frame.positions.tolist() == [0, 1, 2, 3, 8]
    assert exact.snapshot.frame.next_position == 9
    # Without all spans nobody knows that no token ended at character 3.
    careful = exchange(snapshot, w_matrix(), target=TargetTokens(CHARACTERS), policy=ANY)
    assert careful.snapshot.frame.positions.tolist() == [0, 1, 2, 8]
    assert careful.dropped == 5


def test_a_dropped_end_hides_the_partners_after_it() -> None:
    done = exchange(cache(4).select(np.array([0, 1, 2])), w_matrix(), target=TargetTokens(CHARACTERS), policy=ANY)
    assert done.snapshot.frame.positions.tolist() == [0, 1, 2, 3, 4]


def test_tokens_before_the_first_ended_one_are_left_out_without_a_row_for_bos() -> None:
    done = exchange(cache(4), w_matrix(without=("source_bos",)), target=TargetTokens(CHARACTERS), policy=ANY)
    assert done.snapshot.frame.positions.tolist() == [0, *range(2, 9)]


def test_spans_need_the_sources_offsets() -> None:
    with pytest.raises(InvalidInput, match="which characters"):
        exchange(cache(4, offsets=None), w_matrix(), target=TargetTokens(CHARACTERS), policy=ANY)


@pytest.mark.parametrize("spans", [[(1, 0)], [(-1, 1)], [0, 1], [(0.0, 1.0)], np.zeros((0, 2), int)])
def test_it_refuses_malformed_spans(spans: object) -> None:
    with pytest.raises(InvalidInput, match="target_spans"):
        exchange(cache(4), w_matrix(), target=TargetTokens(np.asarray(spans)), policy=ANY)


def test_it_refuses_source_spans_that_are_not_those_of_every_token() -> None:
    with pytest.raises(InvalidInput, match="source_spans has 2 entries"):
        exchange(
            cache(4), w_matrix(), target=TargetTokens(CHARACTERS, source_spans=np.array([(0, 2), (2, 4)])), policy=ANY
        )


def test_a_float16_memory_stays_float16() -> None:
    snapshot = cache()
    half = KVSnapshot(snapshot.frame, snapshot.keys.astype("f2"), snapshot.values.astype("f2"))
    assert exchange(half, w_matrix(), policy=ANY).snapshot.keys.dtype == np.float16


def test_bos_alone_is_no_memory() -> None:
    with pytest.raises(DimensionMismatch, match="no token of the snapshot can be mapped"):
        exchange(cache(4).select(np.array([0])), w_matrix(), policy=ANY)
