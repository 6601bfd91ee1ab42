"""Streams over REST: chunks in order, bounded, forgotten when they expire."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from kvcache.server.models import CompressionRun, StreamSession
from kvcache.server.payloads import Given, from_file, to_file
from kvcache.server.queries import get_adapter
from kvcache.streaming.chunks import part
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.rest.scopes import KV_CACHE_COMPUTE
from tests.kvcache.server.conftest import TOKENS

pytestmark = pytest.mark.django_db
BASE = "/api/kv-cache"
STREAMS = f"{BASE}/streams"
JSON = "application/json"
FILE = "application/vnd.safetensors"
MESSAGES = "application/octet-stream"


def opened(api: Client, **options: Any) -> Any:
    response = api.post(STREAMS, {"modelName": "smollm2-135m", "method": "quantise"} | options, JSON)
    assert response.status_code == 201, response.content
    return response.json()


def put(api: Client, stream: Any, number: int, given: Given) -> Any:
    return api.put(f"{STREAMS}/{stream['id']}/chunks/{number}", to_file(given), FILE)


def pieces(cache: KVSnapshot, *edges: int) -> list[Given]:
    return [Given(part(cache, start, stop)) for start, stop in pairwise(edges)]


def sent(api: Client, cache: KVSnapshot, **options: Any) -> Any:
    stream = opened(api, **options)
    for number, given in enumerate(pieces(cache, 0, 7, 20, TOKENS)):
        response = put(api, stream, number, given)
        assert response.status_code == 200, response.content
    return response.json()


def values_error(snapshot: KVSnapshot, cache: KVSnapshot) -> float:
    return float(np.linalg.norm(snapshot.values - cache.values) / np.linalg.norm(cache.values))


def test_a_stream_says_what_comes_next(api, cache):
    stream = opened(api)
    assert (stream["next_chunk"], stream["chunk_url"]) == (0, f"{STREAMS}/{stream['id']}/chunks/0")
    state = sent(api, cache)
    assert (state["next_chunk"], state["next_position"], state["tokens"]) == (3, TOKENS, TOKENS)


def test_a_finished_stream_is_one_file_of_all_chunks(api, cache, own_files: Path):
    state = sent(api, cache)
    response = api.post(state["finish_url"], headers={"Accept": FILE})
    assert response.status_code == 200, response.content
    back = api.post(f"{BASE}/decompress", response.content, FILE, headers={"Accept": FILE})
    snapshot = from_file(back.content).snapshot
    assert snapshot.frame.positions.tolist() == list(range(TOKENS))
    assert values_error(snapshot, cache) < 0.3
    assert not StreamSession.objects.exists()
    assert list((own_files / "streams").iterdir()) == []
    assert CompressionRun.objects.get(operation="stream").tokens == TOKENS
    assert api.post(state["finish_url"]).status_code == 404


def test_it_may_be_taken_as_messages_chunk_by_chunk(api, cache):
    from kvcache.streaming.receiver import decode_stream

    state = sent(api, cache, chunkSize=10)
    response = api.post(state["finish_url"], headers={"Accept": MESSAGES})
    assert (response.status_code, response["Content-Type"]) == (200, MESSAGES)
    snapshot = decode_stream(response.streaming_content)
    assert snapshot.frame.positions.tolist() == list(range(TOKENS))
    assert values_error(snapshot, cache) < 0.3


def test_a_selection_ends_with_the_tokens_to_drop(api, cache):
    from kvcache.streaming.receiver import decode_stream

    adapter = get_adapter("smollm2-135m")
    stream = opened(api, method="auto", attentionThreshold=0.6, minTokens=5)
    queries = np.random.default_rng(3).normal(size=(30, 2, adapter.query_heads, 64)).astype(np.float32)
    for number, given in enumerate(pieces(cache, 0, 15, TOKENS)):
        assert put(api, stream, number, Given(given.snapshot, queries)).status_code == 200
    response = api.post(f"{STREAMS}/{stream['id']}/finish", headers={"Accept": MESSAGES})
    kept = decode_stream(response.streaming_content).frame.tokens
    assert 5 <= kept < TOKENS
    run = CompressionRun.objects.get()
    assert (run.tokens_kept, run.method) == (kept, "select+quantise")


def test_json_chunks_of_plain_arrays_go_on_where_the_last_ended(api, registry):
    stream = opened(api, modelName="gpt-4")
    rows = np.random.default_rng(0).normal(size=(12, 4)).round(2).tolist()
    for number in range(3):
        chunk = {"keys": rows, "values": rows}
        response = api.put(f"{STREAMS}/{stream['id']}/chunks/{number}", chunk, JSON)
        assert response.status_code == 200, response.content
    document = api.post(f"{STREAMS}/{stream['id']}/finish").json()
    assert document["tokens"] == 36
    back = api.post(f"{BASE}/decompress", {"compressed": document["compressed"]}, JSON).json()
    assert back["positions"] == list(range(36))


def test_a_chunk_put_twice_is_a_conflict(api, cache):
    stream = opened(api)
    first, second = pieces(cache, 0, 7, TOKENS)
    assert put(api, stream, 0, first).status_code == 200
    again = put(api, stream, 0, first)
    assert (again.status_code, again.json()["code"]) == (409, "CONFLICT")
    assert again.json()["detail"] == "chunk 0 was put already; the next chunk of this stream is 1"
    assert put(api, stream, 1, second).status_code == 200


def test_a_chunk_before_its_turn_is_a_conflict(api, cache):
    stream = opened(api)
    response = put(api, stream, 1, pieces(cache, 0, 7)[0])
    assert response.status_code == 409
    assert response.json()["facts"]["next_chunk"] == 0
    assert "comes before chunk 0" in response.json()["detail"]


def test_a_gap_in_the_positions_is_refused_and_changes_nothing(api, cache):
    stream = opened(api)
    first, _, third = pieces(cache, 0, 7, 9, TOKENS)
    put(api, stream, 0, first)
    response = put(api, stream, 1, third)
    assert (response.status_code, response.json()["field"]) == (422, "positions")
    assert StreamSession.objects.get().next_chunk == 1


def test_a_chunk_of_another_model_is_refused(api, cache):
    stream = opened(api, modelName="llama-3-8b")
    assert put(api, stream, 0, pieces(cache, 0, 7)[0]).status_code == 422


def test_an_empty_stream_cannot_be_finished(api, registry):
    stream = opened(api)
    assert api.post(f"{STREAMS}/{stream['id']}/finish").json()["field"] == "stream"


def test_what_cannot_be_answered_can_be_asked_for_again(api, cache, settings):
    state = sent(api, cache)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2048
    refused = api.post(state["finish_url"])
    assert (refused.status_code, refused.json()["code"]) == (413, "TOO_LARGE")
    assert api.post(state["finish_url"], headers={"Accept": FILE}).status_code == 200


def test_a_token_has_few_open_streams(api, registry, settings):
    settings.KV_CACHE_STREAMS = 2
    opened(api)
    opened(api)
    response = api.post(STREAMS, {"modelName": "gpt-4"}, JSON)
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")
    StreamSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    opened(api)
    assert StreamSession.objects.count() == 1


def test_an_expired_stream_is_gone(api, cache):
    stream = opened(api)
    StreamSession.objects.update(expires_at=timezone.now())
    response = put(api, stream, 0, pieces(cache, 0, 7)[0])
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


def test_a_stream_is_limited_in_size(api, cache, settings):
    stream = opened(api)
    chunks = pieces(cache, 0, 7, TOKENS)
    settings.KV_CACHE_MAX_BYTES = len(to_file(chunks[0])) + 100
    assert put(api, stream, 0, chunks[0]).status_code == 200
    response = put(api, stream, 1, chunks[1])
    assert (response.status_code, response.json()["code"]) == (413, "TOO_LARGE")
    assert StreamSession.objects.get().next_chunk == 1


def test_the_stream_of_another_token_is_not_there(api, client_with, cache):
    stream = opened(api)
    stranger = client_with(KV_CACHE_COMPUTE)
    assert put(stranger, stream, 0, pieces(cache, 0, 7)[0]).status_code == 404
    assert stranger.post(f"{STREAMS}/{stream['id']}/finish").status_code == 404


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"chunkSize": 0}, "chunk_size"),
        ({"attentionThreshold": 2}, "attention_threshold"),
        ({"ratio": 3, "kl": 0.1}, "kl"),
        ({"colour": "red"}, "colour"),
        ({"modelName": ""}, "model_name"),
    ],
)
def test_wrong_options_are_refused_at_the_beginning(api, registry, options, field):
    response = api.post(STREAMS, {"modelName": "gpt-4"} | options, JSON)
    assert (response.status_code, response.json()["field"]) == (422, field)


def test_streams_need_a_token(registry, client):
    assert client.post(STREAMS, {"modelName": "gpt-4"}, JSON).status_code == 401
    assert client.put(f"{STREAMS}/abc/chunks/0", b"x", FILE).status_code == 401


def test_queries_that_do_not_fit_are_refused_with_their_chunk(api, cache):
    stream = opened(api, method="select+quantise")
    (first,) = pieces(cache, 0, TOKENS)
    for shape in ((2,), (30, 1, 7, 64), (29, 1, 9, 64)):
        response = put(api, stream, 0, Given(first.snapshot, np.ones(shape, np.float32)))
        assert (response.status_code, response.json()["field"]) == (422, "queries")
    assert StreamSession.objects.get().next_chunk == 0
