from dataclasses import replace

import msgspec
import pytest

from latentmas.protocol.architecture import MAX_NUMBER, ModelArchitecture, Rope, RopeScaling, parse_architecture
from latentmas.protocol.canonical import plain
from latentmas.protocol.errors import InvalidInput

GEMMA = ModelArchitecture(
    hidden_size=640,
    num_layers=18,
    num_attention_heads=4,
    num_kv_heads=1,
    head_dim=256,
    position_encoding="rope",
    attention_type="sliding",
    rope=Rope(theta=1e6, layout="half"),
    layer_pattern=("sliding",) * 5 + ("full",),
    sliding_window=512,
    local_theta=1e4,
    key_norm="rms-per-head",
)
MLA = ModelArchitecture(num_layers=60, num_kv_heads=128, attention_type="mla", kv_lora_rank=512, qk_rope_head_dim=64)


def test_kv_width_counts_keys_and_values_of_every_layer() -> None:
    smollm = ModelArchitecture(num_layers=30, num_attention_heads=9, num_kv_heads=3, head_dim=64)
    assert smollm.kv_width == 11520
    assert GEMMA.kv_width == 9216


def test_kv_width_of_mla_is_its_latent_and_rope_key() -> None:
    assert MLA.kv_width == 60 * (512 + 64)


@pytest.mark.parametrize("missing", ["num_layers", "num_kv_heads", "head_dim"])
def test_kv_width_is_unknown_where_one_factor_is(missing: str) -> None:
    known = {"num_layers": 2, "num_kv_heads": 1, "head_dim": 8}
    assert ModelArchitecture(**(known | {missing: None})).kv_width is None


def test_an_encoder_has_no_cache() -> None:
    bert = ModelArchitecture(num_layers=12, num_kv_heads=12, head_dim=64, attention_type="bidirectional")
    assert not bert.has_kv_cache
    assert bert.kv_width is None
    assert bert.layer_kinds() is None


def test_layers_follow_the_pattern_over_the_depth() -> None:
    kinds = GEMMA.layer_kinds()
    assert kinds is not None
    assert [layer for layer, kind in enumerate(kinds) if kind == "full"] == [5, 11, 17]


def test_without_a_pattern_every_layer_is_what_the_attention_type_says() -> None:
    assert ModelArchitecture(num_layers=2, attention_type="sliding").layer_kinds() == ("sliding", "sliding")
    assert ModelArchitecture(num_layers=2, attention_type="sparse").layer_kinds() == ("full", "full")
    assert ModelArchitecture(num_layers=2).layer_kinds() is None


def test_sliding_layers_have_their_own_theta() -> None:
    assert [GEMMA.layer_theta(layer) for layer in (0, 4, 5, 6, 17)] == [1e4, 1e4, 1e6, 1e4, 1e6]


def test_it_rejects_a_layer_the_model_does_not_have() -> None:
    with pytest.raises(InvalidInput, match="no layer 18"):
        GEMMA.layer_theta(18)


def test_latent_dimension_prefers_the_published_width() -> None:
    ranges = {"documented_key_dim": (64, 128), "documented_dimension": (4096, 8192)}
    assert ModelArchitecture(hidden_size=576, **ranges).latent_dimension == 576
    assert ModelArchitecture(**ranges).latent_dimension == 4096
    assert ModelArchitecture(documented_key_dim=(64, 128)).latent_dimension == 64
    assert ModelArchitecture().latent_dimension is None


def test_rotary_width_is_the_whole_head_unless_partial() -> None:
    assert GEMMA.rotary_dim == 256
    partial = ModelArchitecture(head_dim=80, position_encoding="rope", rope=Rope(rotary_dim=32))
    assert partial.rotary_dim == 32
    assert MLA.rotary_dim is None
    assert replace(MLA, position_encoding="rope", rope=Rope(theta=1e4)).rotary_dim == 64


def test_it_survives_canonical_json() -> None:
    scaled = ModelArchitecture(
        head_dim=128,
        position_encoding="rope",
        rope=Rope(theta=5e5, scaling=RopeScaling(type="llama3", factor=8.0, low_freq_factor=1.0)),
        documented_key_dim=(64, 128),
        unsure=("rope.theta", "max_context"),
    )
    assert parse_architecture(plain(scaled)) == scaled
    assert parse_architecture(msgspec.to_builtins(scaled)) == scaled


@pytest.mark.parametrize(
    ("field", "facts"),
    [
        ("hidden_size", {"hidden_size": 0}),
        ("num_layers", {"num_layers": -1}),
        ("vocab_size", {"vocab_size": MAX_NUMBER + 1}),
        ("num_layers", {"num_layers": 100_000, "num_kv_heads": 1000, "head_dim": 1000}),
        ("num_kv_heads", {"num_attention_heads": 9, "num_kv_heads": 2}),
        ("attention_softcap", {"attention_softcap": float("nan")}),
        ("attention_type", {"attention_type": "causal"}),
        ("position_encoding", {"position_encoding": "absolute"}),
        ("key_norm", {"key_norm": "batch"}),
        ("layer_pattern", {"layer_pattern": ("sliding", "full"), "attention_type": "full"}),
        ("layer_pattern", {"layer_pattern": (), "attention_type": "sliding"}),
        ("layer_pattern", {"layer_pattern": ("local",), "attention_type": "sliding"}),
        ("documented_key_dim", {"documented_key_dim": (128, 64)}),
        ("rope", {"rope": Rope(theta=1e4), "position_encoding": "alibi"}),
        ("rope.rotary_dim", {"rope": Rope(rotary_dim=96), "position_encoding": "rope", "head_dim": 64}),
        ("unsure", {"unsure": ("hidden_sise",)}),
    ],
)
def test_it_rejects_what_cannot_be_right_and_names_the_field(field: str, facts: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        ModelArchitecture(**facts)  # type: ignore[arg-type]
    assert refused.value.facts["field"] == field


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("rope.theta", lambda: Rope(theta=0.0)),
        ("rope.rotary_dim", lambda: Rope(rotary_dim=7)),
        ("rope.layout", lambda: Rope(layout="pairs")),  # type: ignore[arg-type]
        ("rope.scaling.type", lambda: RopeScaling(type="ntk")),  # type: ignore[arg-type]
        ("rope.scaling.factor", lambda: RopeScaling(type="yarn", factor=-1.0)),
        ("rope.scaling.long_factor", lambda: RopeScaling(type="longrope", long_factor=(1.0, 0.0))),
    ],
)
def test_it_rejects_a_rope_that_cannot_be_right(field: str, make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput) as refused:
        make()
    assert refused.value.facts["field"] == field


@pytest.mark.parametrize("document", [{"hidden_sise": 1}, {"hidden_size": "many"}, [], "gpt-4", None])
def test_it_rejects_a_document_that_is_no_architecture(document: object) -> None:
    with pytest.raises(InvalidInput):
        parse_architecture(document)
