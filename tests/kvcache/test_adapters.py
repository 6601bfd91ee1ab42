import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvcache.adapters import ModelAdapter, adapter_for
from kvcache.attention.output import attended
from kvcache.attention.queries import check_queries
from kvcache.kernels.attention import alibi_slopes
from latentmas.protocol.architecture import ModelArchitecture, Rope, parse_architecture
from latentmas.protocol.errors import DimensionMismatch, InvalidInput, ModelNotSupported
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.plain import plain_snapshot
from latentmas.protocol.snapshot import KVSnapshot, needed, needed_starts, whole

FILE = Path(__file__).parents[2] / "latentmas/registry/data/models.json"
MODELS: dict[str, dict[str, Any]] = {row["name"]: row for row in json.loads(FILE.read_text())["models"]}
DECODERS = sorted(set(MODELS) - {"bert", "all-minilm-l6-v2"})


def adapter(name: str) -> ModelAdapter:
    row = MODELS[name]
    architecture = parse_architecture(row["architecture"])
    return adapter_for(name, family=row["family"], architecture=architecture, threshold=row["attention_threshold"])


def small(**facts: Any) -> ModelAdapter:
    known = {"num_layers": 2, "num_attention_heads": 4, "num_kv_heads": 2, "head_dim": 8, "attention_type": "full"}
    known |= {"position_encoding": "rope", "rope": Rope(theta=1e4, layout="half")} | facts
    return adapter_for("small", family="test", architecture=ModelArchitecture(**known), threshold=0.9)


def snapshot(geometry: KVGeometry, tokens: int = 20) -> KVSnapshot:
    generator = np.random.default_rng(tokens)
    shape = (geometry.layers, tokens, geometry.heads)
    keys = generator.normal(size=(*shape, geometry.head_dim)).astype("f4")
    return KVSnapshot(whole(geometry, tokens), keys, generator.normal(size=(*shape, geometry.value_width)).astype("f4"))


@pytest.mark.parametrize("name", DECODERS)
def test_every_model_with_a_cache_has_an_adapter(name: str) -> None:
    made, architecture = adapter(name), parse_architecture(MODELS[name]["architecture"])
    assert made.recommended_threshold == MODELS[name]["attention_threshold"]
    assert (made.min_tokens, made.max_tokens) == (10, 2048)
    if made.geometry is None:
        assert made.unknown
    else:
        assert made.geometry.width == architecture.kv_width
        assert made.query_heads is not None
        assert made.query_heads % made.geometry.heads == 0


@pytest.mark.parametrize(
    ("name", "threshold"),
    [("gpt-4", 0.92), ("claude-3-opus", 0.91), ("llama-3-8b", 0.89), ("mistral-7b", 0.87), ("deepseek-v3", 0.86)],
)
def test_the_five_families_of_the_specification_have_its_thresholds(name: str, threshold: float) -> None:
    assert adapter(name).recommended_threshold == threshold


def test_an_encoder_is_not_supported() -> None:
    with pytest.raises(ModelNotSupported, match="bert reads in both directions and keeps no KV-cache"):
        adapter("bert")


@pytest.mark.parametrize("name", ["gpt-4", "claude-3-opus", "gemini-pro"])
def test_a_closed_model_says_what_is_unknown(name: str) -> None:
    closed = adapter(name)
    assert (closed.geometry, closed.attention_type, closed.rotation, closed.scale) == (None, None, None, None)
    assert closed.unknown == (
        "attention_type",
        "position_encoding",
        "num_layers",
        "num_attention_heads",
        "num_kv_heads",
        "head_dim",
    )


def test_a_closed_model_takes_plain_arrays_only() -> None:
    plain = plain_snapshot(np.ones((4, 8)), np.ones((4, 8)))
    adapter("gpt-4").accept(plain.frame)
    with pytest.raises(ModelNotSupported, match="attention_type, position_encoding, num_layers"):
        adapter("gpt-4").accept(snapshot(small().geometry).frame)


@pytest.mark.parametrize("name", ["deepseek-v2", "deepseek-v2.5", "deepseek-v3"])
def test_mla_is_described_by_the_latent_it_caches(name: str) -> None:
    geometry = adapter(name).geometry
    assert adapter(name).attention_type == "mla"
    assert (geometry.heads, geometry.head_dim, geometry.value_dim) == (1, 64, 512)


def test_a_sliding_window_is_known_for_each_layer() -> None:
    gemma = adapter("gemma-3-270m")
    assert gemma.attention_type == "sliding-window"
    assert gemma.geometry.windows[:7] == (512, 512, 512, 512, 512, None, 512)
    assert gemma.geometry.thetas[:6] == (1e4, 1e4, 1e4, 1e4, 1e4, 1e6)
    assert (gemma.window, adapter("mistral-7b").window, adapter("llama-3-8b").window) == (None, 4096, None)


@pytest.mark.parametrize(
    ("name", "rotation", "reason"),
    [
        ("smollm2-135m", "undone", None),
        ("phi-2", "undone", None),
        ("llama-3.1-8b", "kept", r"scaling \(llama3\)"),
        ("deepseek-v3", "kept", r"scaling \(yarn\)"),
        ("qwen-7b", "kept", r"scaling \(dynamic\)"),
        ("glm-4", "kept", "layout is interleaved"),
        ("chatglm-6b", "kept", "two-dimensional"),
        ("phi-3-small", "kept", "base or layout is not published"),
        ("baichuan-13b", "none", None),
    ],
)
def test_a_rotation_that_cannot_be_undone_stays_in_the_keys(name: str, rotation: str, reason: str | None) -> None:
    made = adapter(name)
    assert made.rotation == rotation
    assert made.geometry.rotary_dim == {"undone": made.geometry.rotary_dim or -1}.get(rotation, 0)
    if reason is not None:
        assert re.search(reason, made.note)


def test_partial_rotary_is_taken_over() -> None:
    assert (adapter("phi-2").geometry.rotary_dim, adapter("phi-2").geometry.head_dim) == (32, 80)


def test_facts_that_are_not_confirmed_are_named() -> None:
    assert adapter("yi-1.5-9b").unknown == ("rope.theta",)
    assert adapter("yi-1.5-9b").unsure == ("rope.theta", "num_layers")


def test_a_correction_of_the_facts_changes_the_adapter() -> None:
    assert small(sliding_window=16, attention_type="sliding").geometry.windows == (16, 16)
    assert small(attention_type="sliding").geometry is None
    assert small(attention_type="sliding").unknown == ("sliding_window",)


def test_a_snapshot_of_another_model_or_geometry_is_refused() -> None:
    frame = snapshot(small().geometry).frame
    small().accept(frame)
    with pytest.raises(DimensionMismatch, match=r"the snapshot's layers is 2; smollm2-135m has 30") as caught:
        adapter("smollm2-135m").accept(frame)
    assert caught.value.facts["field"] == "layers"
    named = whole(small().geometry, 4, model="llama-3-8b")
    with pytest.raises(InvalidInput, match="the snapshot is of 'llama-3-8b'; the adapter is of 'small'"):
        small().accept(named)


def test_queries_must_fit_layers_width_and_heads() -> None:
    made = small()
    frame = snapshot(made.geometry).frame
    good = np.ones((2, 3, 4, 8))
    queries, positions = check_queries(good, None, frame=frame, adapter=made)
    assert queries.dtype == np.float32
    assert positions.tolist() == [17, 18, 19]
    with pytest.raises(DimensionMismatch, match=r"it must be \[2, n, query heads, 8\]"):
        check_queries(np.ones((1, 3, 4, 8)), None, frame=frame, adapter=made)
    with pytest.raises(DimensionMismatch, match="queries has 3 heads; it must have 4"):
        check_queries(np.ones((2, 3, 3, 8)), None, frame=frame, adapter=made)
    with pytest.raises(InvalidInput, match=r"queries has the shape .* it must have rank 4"):
        check_queries(np.ones((3, 8)), None, frame=frame, adapter=made)
    bad = good.copy()
    bad[0, 1, 2, 3] = np.nan
    with pytest.raises(InvalidInput, match=r"queries holds nan at \[0, 1, 2, 3\]"):
        check_queries(bad, None, frame=frame, adapter=made)
    with pytest.raises(InvalidInput, match="it must be 3 whole numbers"):
        check_queries(good, [1, 2], frame=frame, adapter=made)


def logits(keys: np.ndarray, query: np.ndarray, scale: float) -> np.ndarray:
    return keys @ query * scale


def test_alibi_is_one_more_dimension_of_the_dot_product() -> None:
    made = small(attention_type="alibi", position_encoding="alibi", rope=None)
    cache, queries = snapshot(made.geometry), np.random.default_rng(1).normal(size=(2, 1, 4, 8)).astype("f4")
    wide, asked, positions = attended(cache, queries, np.array([19]), adapter=made)
    head, scale = 3, made.scale
    own = logits(cache.keys[0, :, 1], queries[0, 0, head], scale) - alibi_slopes(4)[head] * (19 - np.arange(20))
    ours = logits(wide.keys[0, :, 1], asked[0, 0, head], scale)
    np.testing.assert_allclose(ours - ours[-1], own - own[-1], atol=1e-5)
    assert positions.tolist() == [19]


def test_queries_of_mla_meet_the_rope_key_and_the_latent() -> None:
    rope = Rope(theta=1e4, layout="interleaved")
    made = small(attention_type="mla", kv_lora_rank=6, qk_rope_head_dim=4, head_dim=None, rope=rope)
    cache = snapshot(made.geometry)
    queries, positions = check_queries(np.ones((2, 1, 4, 10)), None, frame=cache.frame, adapter=made)
    wide, asked, _ = attended(cache, queries, positions, adapter=made)
    assert made.scale == 1
    np.testing.assert_array_equal(wide.keys[..., :4], cache.keys)
    np.testing.assert_array_equal(wide.keys[..., 4:], cache.values)
    assert asked.shape[-1] == wide.frame.geometry.head_dim == 10


def test_queries_of_a_prefix_lm_see_the_whole_prompt() -> None:
    made = small(attention_type="prefix-lm", position_encoding="rope-2d")
    cache = snapshot(made.geometry)
    _, _, positions = attended(cache, np.ones((2, 2, 4, 8), "f4"), np.array([3, 25]), adapter=made)
    assert positions.tolist() == [19, 25]


def test_tokens_behind_every_window_are_not_needed() -> None:
    geometry = small(attention_type="sliding", sliding_window=8, layer_pattern=("sliding", "full")).geometry
    cache = snapshot(geometry)
    assert needed_starts(cache.frame) == (13, 0)  # the token at 20 sees 13 to 19 and itself
    left, tokens = needed(cache)
    assert tokens.tolist() == list(range(20))
    assert left.frame.starts == (13, 0)
    assert not left.keys[0, :13].any()
    np.testing.assert_array_equal(left.keys[0, 13:], cache.keys[0, 13:])
    np.testing.assert_array_equal(left.values[1], cache.values[1])


def test_a_token_that_no_layer_needs_is_gone() -> None:
    cache = snapshot(small(attention_type="sliding", sliding_window=8).geometry)
    left, tokens = needed(cache)
    assert tokens.tolist() == left.frame.positions.tolist() == list(range(13, 20))
    assert (left.frame.starts, left.frame.next_position) == ((0, 0), 20)


def test_a_full_cache_is_needed_as_it_is() -> None:
    cache = snapshot(small().geometry)
    assert needed(cache)[0] is cache
