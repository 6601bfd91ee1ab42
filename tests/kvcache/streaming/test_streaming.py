from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvcache.compression.compressor import compress, decompress
from kvcache.compression.container import read_kvz
from kvcache.compression.plan import KLBound, Ratio, Threshold
from kvcache.streaming.chunks import Chunk, join
from kvcache.streaming.receiver import StreamingKVCacheDecompressor, decode_stream
from kvcache.streaming.sender import StreamingKVCacheCompressor
from kvcache.streaming.wire import Message, parse_index, read_messages
from latentmas.protocol.errors import InvalidInput, QualityBelowThreshold, TooLarge
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.caches import adapter, chunks, profile, queries, snapshot


def messages(data: list[bytes]) -> list[Message]:
    return list(read_messages(data))


def sent(cache: KVSnapshot, *sizes: int, chunk_size: int = 50, **how: object) -> list[bytes]:
    return list(StreamingKVCacheCompressor(adapter(), chunk_size, **how).stream(chunks(cache, *sizes)))


@pytest.mark.parametrize("sizes", [(), (1, 2, 3), (50, 50), (170,), (49, 1, 51, 99)])
def test_a_stream_gives_the_cache_whatever_the_chunks(sizes: tuple[int, ...]) -> None:
    cache = snapshot(230)
    stream = sent(cache, *sizes, method="raw")
    assert [message.kind for message in messages(stream)] == ["chunk"] * 5 + ["end"]
    again = decode_stream(stream)
    np.testing.assert_array_equal(again.keys, cache.keys)
    np.testing.assert_array_equal(again.values, cache.values)
    np.testing.assert_array_equal(again.frame.token_ids, cache.frame.token_ids)
    assert (again.frame.positions.tolist(), again.frame.next_position) == (list(range(230)), 230)


def test_the_bytes_may_be_cut_anywhere() -> None:
    stream = b"".join(sent(snapshot(120), method="quantise"))
    pieces = [stream[start : start + 1000] for start in range(0, len(stream), 1000)]
    assert decode_stream(pieces).frame.tokens == 120


def test_a_message_comes_as_soon_as_it_is_full() -> None:
    compressor = StreamingKVCacheCompressor(adapter(), 100)
    counts = [len(compressor.compress_chunk(chunk)) for chunk in chunks(snapshot(250), 60, 60, 130)]
    assert counts == [0, 1, 1]
    assert len(compressor.finish()) == 2


def test_a_quantised_stream_is_as_near_as_one_file() -> None:
    cache = snapshot(200)
    at_once = decompress(compress(cache, adapter=adapter(), method="quantise").data)
    streamed = decode_stream(sent(cache, method="quantise"))
    for name in ("keys", "values"):
        exact = getattr(cache, name)
        errors = [float(np.linalg.norm(getattr(each, name) - exact)) for each in (at_once, streamed)]
        assert errors[1] <= 1.1 * errors[0]


def test_a_transform_coded_stream_is_as_near_as_one_file(tmp_path: Path) -> None:
    known, cache, bound = profile(tmp_path), snapshot(600), KLBound(0.002)
    at_once = decompress(compress(cache, adapter=adapter(), profile=known, target=bound).data, profile=known)
    stream = sent(cache, 100, 37, chunk_size=200, profile=known, target=bound)
    streamed = decode_stream(stream, profile=known)
    for name in ("keys", "values"):
        exact = getattr(cache, name)
        errors = [float(np.linalg.norm(getattr(each, name) - exact)) for each in (at_once, streamed)]
        assert errors[1] <= 1.1 * errors[0]
    with pytest.raises(InvalidInput, match="none was given"):
        decode_stream(stream)


def test_a_bound_is_held_by_every_message(tmp_path: Path) -> None:
    known = profile(tmp_path)
    stream = sent(snapshot(300), chunk_size=100, profile=known, target=KLBound(0.002))
    stated = [float(read_kvz(message.body).evidence["kl_bound"]) for message in messages(stream)[:-1]]
    assert len(stated) == 3
    assert all(0.001 < bound <= 0.002 for bound in stated)


def test_the_setting_of_the_first_message_holds_for_all() -> None:
    stream = sent(snapshot(900), chunk_size=300, target=Ratio(3.5))
    sizes = [len(message.body) for message in messages(stream)[:-1]]
    assert sizes == pytest.approx([sizes[0]] * 3, rel=0.07)  # the first holds the sinks


def test_a_ratio_out_of_reach_is_refused_at_the_first_message() -> None:
    with pytest.raises(QualityBelowThreshold, match="a ratio of 30 is out of reach"):
        sent(snapshot(100), target=Ratio(30))


def test_figures_count_what_went_over_the_wire() -> None:
    compressor = StreamingKVCacheCompressor(adapter(), 100)
    with pytest.raises(InvalidInput, match="has sent nothing yet"):
        _ = compressor.metrics
    cache = snapshot(250)
    size = sum(len(message) for message in compressor.stream(chunks(cache, 60, 60)))
    assert compressor.metrics.compressed_bytes == size
    assert compressor.metrics.original_bytes == cache.frame.raw_bytes
    assert compressor.metrics.token_savings == 0


@pytest.mark.parametrize(
    ("how", "done"),
    [
        ({}, "quantise"),
        ({"method": "raw"}, "raw"),
        ({"target": Threshold(0.7)}, "select+quantise"),
        ({"target": Threshold(0.7), "method": "select"}, "select"),
    ],
)
def test_it_says_what_is_really_done(how: dict[str, Any], done: str) -> None:
    assert StreamingKVCacheCompressor(adapter(), **how).method == done


def queried(cache: KVSnapshot, *sizes: int, each: int = 8) -> list[Chunk]:
    return [Chunk(chunk, queries(each, seed=number)) for number, chunk in enumerate(chunks(cache, *sizes))]


def test_a_selecting_stream_ends_with_the_tokens_to_drop() -> None:
    cache = snapshot(400)
    compressor = StreamingKVCacheCompressor(adapter(), 64, target=Threshold(0.7))
    stream = list(compressor.stream(queried(cache, 100, 100, 100)))
    receiver = StreamingKVCacheDecompressor()
    received = [receiver.decompress_chunk(message) for message in messages(stream)]
    assert join(received[:-1]).frame.tokens == 400  # what was sent cannot be recalled
    left = receiver.finish()
    assert 10 <= left.frame.tokens < 400
    assert left.frame.next_position == 400
    assert compressor.metrics.token_savings == 400 - left.frame.tokens
    assert compressor.metrics.cumulative_attention >= 0.7
    assert float(receiver.index.selection["coverage"]) == compressor.metrics.cumulative_attention
    evicted = {position for start, stop in receiver.index.evicted for position in range(start, stop)}
    assert evicted | set(left.frame.positions.tolist()) == set(range(400))


def test_a_stream_selects_as_one_file_does_when_all_queries_come_last() -> None:
    cache, asked = snapshot(300), queries(16)
    at_once = compress(cache, adapter=adapter(), queries=asked, target=Threshold(0.8))
    *first, last = chunks(cache, 100, 100)
    compressor = StreamingKVCacheCompressor(adapter(), 64, target=Threshold(0.8), method="select")
    left = decode_stream(list(compressor.stream([*first, Chunk(last, asked)])))
    assert left.frame.positions.tolist() == at_once.kept.tolist()
    assert compressor.metrics.cumulative_attention == pytest.approx(at_once.metrics.cumulative_attention, abs=1e-5)


def test_memory_does_not_grow_with_the_stream() -> None:
    compressor = StreamingKVCacheCompressor(adapter(), 32, target=Threshold(0.9, max_tokens=64))
    held = []
    for chunk in queried(snapshot(800), *[40] * 19):
        compressor.compress_chunk(chunk.snapshot, queries=chunk.queries)
        held.append(compressor._attention.held)
        assert compressor._waiting is None or compressor._waiting.frame.tokens < 32
    assert max(held) <= 64
    compressor.finish()
    assert compressor.metrics.token_savings >= 800 - 64


def test_a_selection_without_queries_is_refused_at_the_end() -> None:
    with pytest.raises(InvalidInput, match="no chunk came with queries"):
        sent(snapshot(100), target=Threshold(0.9))


def test_the_sliding_window_is_applied_at_the_end() -> None:
    sliding = adapter(attention_type="sliding", sliding_window=33, layer_pattern=("sliding", "full"))
    cache = snapshot(100, sliding)
    stream = list(StreamingKVCacheCompressor(sliding, 25, method="raw").stream([cache]))
    assert decode_stream(stream).frame.starts == (68, 0)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ((0, 2), "chunk 1 begins at position 60, but the stream goes on at 30: a chunk is missing before it"),
        ((0, 0), "chunk 1 begins at position 0, but the stream goes on at 30: a chunk was sent already"),
        ((1,), "chunk 0 begins at position 30, but the stream goes on at 0: a chunk is missing before it"),
        ((0, 1, 0), "chunk 2 begins at position 0, .* was sent already, or comes out of order"),
    ],
)
def test_a_chunk_must_go_on_where_the_last_one_ended(order: tuple[int, ...], said: str) -> None:
    pieces = chunks(snapshot(90), 30, 30)
    compressor = StreamingKVCacheCompressor(adapter(), 1000)
    for number in order[:-1]:
        compressor.compress_chunk(pieces[number])
    with pytest.raises(InvalidInput, match=said) as caught:
        compressor.compress_chunk(pieces[order[-1]])
    assert caught.value.facts["field"] == "positions"


def test_a_refused_chunk_changes_nothing() -> None:
    cache = snapshot(90)
    first, second, third = queried(cache, 30, 30)
    compressor = StreamingKVCacheCompressor(adapter(), 30, target=Threshold(0.8))
    stream = compressor.compress_chunk(first.snapshot, queries=first.queries)
    with pytest.raises(InvalidInput, match="a chunk is missing"):
        compressor.compress_chunk(third.snapshot, queries=third.queries)
    with pytest.raises(InvalidInput, match="must have rank 4"):
        compressor.compress_chunk(second.snapshot, queries=second.queries[0])
    for chunk in (second, third):
        stream += compressor.compress_chunk(chunk.snapshot, queries=chunk.queries)
    assert decode_stream(stream + compressor.finish()).frame.next_position == 90


def test_chunks_of_two_caches_do_not_mix() -> None:
    first, second = chunks(snapshot(60), 30)
    other = KVSnapshot(replace(second.frame, context="sha256:" + "00" * 32), second.keys, second.values)
    compressor = StreamingKVCacheCompressor(adapter(), 1000)
    compressor.compress_chunk(first)
    with pytest.raises(InvalidInput, match="chunk 1 has the context sha256:00"):
        compressor.compress_chunk(other)


def test_chunks_with_holes_are_refused() -> None:
    compressor = StreamingKVCacheCompressor(adapter(), 1000)
    with pytest.raises(InvalidInput, match="chunk 0 lacks tokens"):
        compressor.compress_chunk(snapshot(30).select(np.array([0, 1, 5])))


@pytest.mark.parametrize("size", [0, -1, 2.5, True, 1 << 20])
def test_the_chunk_size_is_bounded(size: int) -> None:
    with pytest.raises(InvalidInput, match="chunk_size is") as caught:
        StreamingKVCacheCompressor(adapter(), size)
    assert caught.value.facts["field"] == "chunk_size"


def test_an_empty_or_ended_stream_is_refused() -> None:
    compressor = StreamingKVCacheCompressor(adapter())
    with pytest.raises(InvalidInput, match="the stream holds no chunk"):
        compressor.finish()
    compressor.compress_chunk(snapshot(20))
    compressor.finish()
    for again in (compressor.finish, lambda: compressor.compress_chunk(snapshot(20))):
        with pytest.raises(InvalidInput, match="was ended already"):
            again()


def spoiled() -> Iterator[tuple[list[Message], str]]:
    good = messages(sent(snapshot(150)))
    yield [good[0], *good[2:]], "message 2 came where 1 was due: message 1 is missing"
    yield [good[0], good[0]], "message 0 came where 1 was due: message 0 was sent already"
    yield good[1:], "message 1 came where 0 was due: message 0 is missing"
    yield [*good, good[-1]], "comes after the end of the stream"
    yield good[:-1], "the stream breaks off after 3 chunks: its index is missing"
    yield [good[0], replace(good[2], sequence=1)], "begins at position 100, but the stream goes on at 50"
    yield [good[0], replace(good[-1], sequence=1)], "the index says chunks is 3; what came has 1"
    other = messages(sent(snapshot(150, seed=5)))
    yield [good[0], other[1], *good[2:]], "the index says digest is"
    yield [replace(good[-1], sequence=0)], "the index says chunks is 3; what came has 0"


@pytest.mark.parametrize("number", range(9))
def test_a_spoiled_stream_is_refused(number: int) -> None:
    stream, said = list(spoiled())[number]

    def receive() -> None:
        receiver = StreamingKVCacheDecompressor()
        for message in stream:
            receiver.decompress_chunk(message)
        receiver.finish()

    with pytest.raises(InvalidInput, match=said):
        receive()


def test_a_damaged_message_is_refused() -> None:
    stream = b"".join(sent(snapshot(60)))
    for at in (100, 800, 3000):
        damaged = bytearray(stream)
        damaged[at] ^= 0xFF
        with pytest.raises(InvalidInput):
            decode_stream([bytes(damaged)])


def test_a_stream_that_decodes_to_too_much_is_refused() -> None:
    with pytest.raises(TooLarge, match="decodes to 25600 bytes; the limit is 1000"):
        decode_stream(sent(snapshot(60)), max_bytes=1000)


@pytest.mark.parametrize("evicted", ["[[5,5]]", "[[9,12]]", "[[2,4],[3,5]]", "[[-1,2]]", '"all"'])
def test_an_index_that_evicts_nonsense_is_refused(evicted: str) -> None:
    body = (
        f'{{"version":1,"chunks":1,"tokens":10,"first_position":0,"next_position":10,"digest":"","evicted":{evicted}}}'
    )
    with pytest.raises(InvalidInput):
        parse_index(body.encode())
