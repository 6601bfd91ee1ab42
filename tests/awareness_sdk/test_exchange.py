"""Memories handed over and kept through the client, against a running server."""

import numpy as np
import pytest

from awareness_sdk import AwarenessError
from awareness_sdk.errors import InvalidRequest, NotFound
from kvcache.compression.compressor import compress
from kvcache.exchange.placement import TargetTokens
from kvcache.server.queries import get_adapter
from latentmas.protocol.errors import InvalidInput
from marketplace.accounts.commands import scopes_of
from tests.marketplace.exchange.sample import certified_listing, memory
from tests.marketplace.sample import SOURCE, TARGET, with_suite


@pytest.fixture
def client(alice, sdk_with):
    return sdk_with(*scopes_of(alice))


def test_the_call_of_the_migration_guide(client):
    listing = certified_listing(quality=with_suite())
    done = client.align_kv_cache(memory(), SOURCE, TARGET, target_weights="sha256:" + "d" * 64)
    aligned = done["aligned_kv_cache"]
    assert aligned.frame.model == TARGET
    assert aligned.frame.tokens == done["tokens"] == 21
    assert done["alignment_quality"]["confidence"] == pytest.approx(0.63)  # the worst register, source tokens
    assert any("receiver's weights" in finding for finding in done["findings"])
    assert done["w_matrix"]["listing_id"] == listing
    assert done["decision"] == "applied"


def test_a_memory_is_taken_in_every_form(client):
    certified_listing()
    snapshot = memory(17)
    expected = client.align_kv_cache(snapshot, SOURCE, TARGET)["aligned_kv_cache"]
    kvz = compress(snapshot, adapter=get_adapter(SOURCE), method="raw").data
    arrays = {"keys": snapshot.keys, "values": snapshot.values}
    kept = client.memories.upload(snapshot)
    for form in (kvz, {"compressed": kvz}, arrays, kept, kept["id"]):
        aligned = client.align_kv_cache(form, SOURCE, TARGET)["aligned_kv_cache"]
        np.testing.assert_allclose(aligned.values, expected.values, atol=3e-2)


def test_the_targets_tokens_come_along(client):
    certified_listing()
    spans = [(0, 0), (0, 1), (1, 2), (2, 3)]
    done = client.align_kv_cache(memory(4), SOURCE, TARGET, target_spans=spans, target_ids=[2, 5, 6, 7])
    assert done["mode"] == "spans"
    assert done["aligned_kv_cache"].frame.token_ids.tolist() == [2, 5, 6, 7]
    kept = client.memories.upload(memory(4))
    again = client.align_kv_cache(kept, SOURCE, TARGET, target_spans=spans)
    np.testing.assert_array_equal(again["aligned_kv_cache"].keys, done["aligned_kv_cache"].keys)


def test_the_first_layer_comes_along_with_a_memory_and_with_its_id(client):
    geometry = get_adapter(TARGET).geometry
    correction = {
        "correction_encoder": np.full((geometry.layer_width, 1), 0.01, "f2"),
        "correction_decoder": np.ones((1, geometry.width), "f2"),
    }
    certified_listing(more=correction)
    spans, layer = [(0, 0), (0, 1), (1, 2)], np.ones((3, geometry.layer_width))
    tokens = TargetTokens(np.asarray(spans), first_layer=layer)
    one = client.align_kv_cache(memory(4), SOURCE, TARGET, target_spans=spans, target_first_layer=layer)
    kept = client.memories.upload(memory(4))
    for form in (memory(4), kept["id"]):
        done = client.align_kv_cache(form, SOURCE, TARGET, target_tokens=tokens)
        assert done["corrected"]
        np.testing.assert_array_equal(done["aligned_kv_cache"].keys, one["aligned_kv_cache"].keys)
    with pytest.raises(ValueError, match="together"):
        client.align_kv_cache(memory(4), SOURCE, TARGET, target_tokens=tokens, target_spans=spans)


def test_errors_carry_the_servers_code_and_decision(client):
    with pytest.raises(NotFound) as missing:
        client.align_kv_cache(memory(), SOURCE, TARGET)
    assert missing.value.code == "W_MATRIX_NOT_FOUND"
    certified_listing()
    with pytest.raises(InvalidRequest) as refused:
        client.align_kv_cache(memory(), SOURCE, TARGET, minimum_retention=0.99)
    assert refused.value.code == "QUALITY_BELOW_THRESHOLD"
    assert refused.value.facts["decision"] == "fallback_reprefill"


@pytest.mark.parametrize("what", [3, {"keys": []}, None])
def test_what_is_no_memory_is_refused_before_it_is_sent(client, what):
    with pytest.raises(ValueError, match="no memory"):
        client.align_kv_cache(what, SOURCE, TARGET)


def test_memories_are_kept_and_deleted(client, tmp_path):
    snapshot = memory(3)
    kept = client.memories.upload(snapshot)
    assert client.memories.get(kept["id"]) == kept
    assert client.memories.list() == [kept]
    data = client.memories.download(kept["id"])
    (tmp_path / "memory.safetensors").write_bytes(data)
    assert client.memories.upload(tmp_path / "memory.safetensors")["id"] == kept["id"]
    client.memories.delete(kept["id"])
    assert client.memories.list() == []
    with pytest.raises(AwarenessError, match="you have no memory"):
        client.memories.get(kept["id"])


TOLD = {"target_spans": [(0, 0), *((each, each + 1) for each in range(8))], "text": "ab. Cd e"}


def test_what_the_target_reads_itself_is_chosen_here_and_the_text_stays(client):
    certified_listing()
    options = {**TOLD, "question": "Who is Cd?"}
    done = client.align_kv_cache(memory(8), SOURCE, TARGET, reread=0.5, **options)
    assert done["reread"] == {"chooser": "words", "positions": [5, 6, 7, 8], "tokens": 8}
    assert done["aligned_kv_cache"].frame.tokens == 9  # they are read in place of its entries
    assert client.align_kv_cache(memory(8), SOURCE, TARGET, target_spans=TOLD["target_spans"])["reread"] is None


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"text": "ab"}, "say how much"),
        ({"reread": 0.5, "text": "ab"}, "give target_tokens"),
        ({"reread": 2.0, **TOLD}, "from 0 to 1"),
        ({"reread_tokens": 9, **TOLD}, "8 tokens"),
    ],
)
def test_what_cannot_be_chosen_is_refused_before_anything_is_sent(client, options, match: str):
    with pytest.raises((ValueError, InvalidInput), match=match):
        client.align_kv_cache(memory(8), SOURCE, TARGET, **options)
