"""The data file against what is written here by hand: nothing that is unknown may turn into a figure."""

import pytest

from latentmas.registry.data_file import Entry, read_entries
from latentmas.registry.facts import spellings, tier_by_size

ENTRIES = {entry.name: entry for entry in read_entries()}
FAMILIES = {
    "OpenAI GPT": 6,
    "Anthropic Claude": 4,
    "Meta LLaMA": 8,
    "Mistral": 4,
    "Google Gemini": 4,
    "Alibaba Qwen": 12,
    "DeepSeek": 8,
    "01.AI Yi": 4,
    "Baichuan": 4,
    "Microsoft Phi": 4,
    "InternLM": 4,
    "ChatGLM": 4,
    "Cohere": 2,
    "xAI Grok": 2,
    "BERT": 1,
    "MiniLM": 1,
    "SmolLM": 1,
    "Google Gemma": 1,
}
POPULARITY = {
    "gpt-3.5": 100,
    "gpt-4": 95,
    "gpt-4-turbo": 90,
    "gpt-4o": 85,
    "claude-3-opus": 88,
    "claude-3-sonnet": 82,
    "claude-3-haiku": 75,
    "claude-3.5-sonnet": 92,
    "llama-2-7b": 80,
    "llama-2-13b": 78,
    "llama-2-70b": 85,
    "llama-3-8b": 87,
    "llama-3-70b": 89,
    "llama-3.1-8b": 91,
    "llama-3.1-70b": 93,
    "mistral-7b": 84,
    "mixtral-8x7b": 86,
    "mistral-large": 81,
    "gemini-pro": 88,
    "gemini-ultra": 86,
    "qwen-7b": 76,
    "qwen-14b": 77,
    "qwen-72b": 79,
    "qwen-2.5-72b": 83,
    "deepseek-coder": 72,
    "deepseek-v2": 74,
    "deepseek-v3": 77,
    "yi-34b": 71,
    "phi-2": 70,
    "smollm2-135m": 70,
    "gemma-3-270m": 70,
}
UNSURE = {
    "mixtral-8x22b": ("vocab_size",),
    "mistral-large": ("max_context",),
    "qwen-7b": ("max_context",),
    "qwen-14b": ("max_context",),
    "qwen-72b": ("vocab_size",),
    "qwen-2-7b": ("max_context",),
    "qwen-2-72b": ("max_context",),
    "deepseek-coder": ("num_layers", "rope.theta", "vocab_size", "max_context"),
    "deepseek-v2.5": ("max_context",),
    "yi-1.5-9b": ("rope.theta", "num_layers"),
    "phi-3-small": ("tie_embeddings",),
    "internlm-20b": ("max_context",),
    "chatglm-6b": ("tie_embeddings", "rope.theta"),
    "chatglm2-6b": ("max_context",),
    "glm-4": ("max_context",),
    "command-r": ("max_context",),
    "command-r-plus": ("max_context",),
    "grok-2": ("tie_embeddings",),
}
# layers, attention heads, KV heads, head size, hidden size, RoPE base, numbers cached per token
SHAPES = {
    "llama-2-7b": (32, 32, 32, 128, 4096, 1e4, 262144),
    "llama-3-70b": (80, 64, 8, 128, 8192, 5e5, 163840),
    "llama-3.1-405b": (126, 128, 8, 128, 16384, 5e5, 258048),
    "mistral-7b": (32, 32, 8, 128, 4096, 1e4, 65536),
    "mistral-large": (88, 96, 8, 128, 12288, 1e6, 180224),
    "qwen-2.5-7b": (28, 28, 4, 128, 3584, 1e6, 28672),
    "qwen3-0.6b": (28, 16, 8, 128, 1024, 1e6, 57344),
    "qwen3-14b": (40, 40, 8, 128, 5120, 1e6, 81920),
    "deepseek-67b": (95, 64, 8, 128, 8192, 1e4, 194560),
    "deepseek-v2": (60, 128, 128, None, 5120, 1e4, 34560),
    "deepseek-v3": (61, 128, 128, None, 7168, 1e4, 35136),
    "yi-1.5-9b": (48, 32, 4, 128, 4096, None, 49152),
    "phi-2": (32, 32, 32, 80, 2560, 1e4, 163840),
    "phi-3-medium": (40, 40, 10, 128, 5120, 1e4, 102400),
    "internlm2-20b": (48, 48, 8, 128, 6144, 1e6, 98304),
    "chatglm2-6b": (28, 32, 2, 128, 4096, 1e4, 14336),
    "command-r-plus": (64, 96, 8, 128, 12288, 7.5e7, 131072),
    "grok-2": (64, 64, 8, 128, 8192, 208533496.0, 131072),
    "smollm2-135m": (30, 9, 3, 64, 576, 1e5, 11520),
    "gemma-3-270m": (18, 4, 1, 256, 640, 1e6, 9216),
}
THRESHOLDS = {
    0.92: {"gpt-4", "gpt-4-turbo", "gpt-4o"},
    0.91: {"claude-3-opus", "claude-3-sonnet", "claude-3-haiku", "claude-3.5-sonnet"},
    0.89: {"llama-3-8b", "llama-3-70b", "llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"},
    0.87: {"mistral-7b"},
    0.86: {"deepseek-v3"},
}
LICENCES = {
    "smollm2-135m": "Apache-2.0",
    "gemma-3-270m": "Gemma Terms of Use",
    "llama-2-7b": "Llama 2 Community License",
    "llama-3.1-8b": "Llama 3.1 Community License",
    "mixtral-8x7b": "Apache-2.0",
    "qwen3-8b": "Apache-2.0",
    "phi-2": "MIT",
    "bert": "Apache-2.0",
    "command-r": "CC-BY-NC-4.0",
}
CLOSED = [entry for entry in ENTRIES.values() if not entry.facts.open_weights]
OPEN = [entry for entry in ENTRIES.values() if entry.facts.open_weights]
PUBLISHED_BY_CLOSED = {"documented_key_dim", "documented_dimension", "unsure", "note"}


def test_every_family_has_its_models() -> None:
    counted = dict.fromkeys(FAMILIES, 0)
    for entry in ENTRIES.values():
        counted[entry.facts.family] += 1
    assert counted == FAMILIES
    assert len(ENTRIES) == 74
    assert all(entry.active for entry in ENTRIES.values())


def test_popularity_is_the_specifications_or_unknown() -> None:
    assert {name: entry.popularity for name, entry in ENTRIES.items() if entry.popularity is not None} == POPULARITY


def test_unconfirmed_facts_stay_marked() -> None:
    marked = {name: entry.facts.architecture.unsure for name, entry in ENTRIES.items()}
    assert {name: unsure for name, unsure in marked.items() if unsure} == UNSURE


def test_closed_models_have_no_architecture_beyond_the_documented_ranges() -> None:
    assert len(CLOSED) == 14
    for entry in CLOSED:
        architecture = entry.facts.architecture
        known = {name for name in architecture.__dataclass_fields__ if getattr(architecture, name) not in (None, ())}
        assert known <= PUBLISHED_BY_CLOSED, entry.name
        assert (entry.facts.hub_id, entry.facts.licence, entry.facts.price_tier) == (None, None, None)
        assert architecture.kv_width is None


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shapes_are_the_published_ones(name: str) -> None:
    shape = ENTRIES[name].facts.architecture
    assert shape.rope is not None
    assert (
        shape.num_layers,
        shape.num_attention_heads,
        shape.num_kv_heads,
        shape.head_dim,
        shape.hidden_size,
        shape.rope.theta,
        shape.kv_width,
    ) == SHAPES[name]


@pytest.mark.parametrize("entry", OPEN, ids=lambda entry: entry.name)
def test_open_models_name_their_weights_and_shape(entry: Entry) -> None:
    assert entry.facts.hub_id is not None
    assert entry.facts.architecture.hidden_size is not None
    assert (entry.facts.architecture.kv_width is None) == (entry.name in ("bert", "all-minilm-l6-v2"))


def test_gemma_3_slides_in_all_but_every_sixth_layer() -> None:
    gemma = ENTRIES["gemma-3-270m"].facts.architecture
    kinds = gemma.layer_kinds()
    assert kinds is not None
    assert [layer for layer, kind in enumerate(kinds) if kind == "full"] == [5, 11, 17]
    assert {gemma.layer_theta(layer) for layer in (5, 11, 17)} == {1e6}
    assert {gemma.layer_theta(layer) for layer in (0, 4, 16)} == {1e4}
    assert (gemma.sliding_window, gemma.key_norm) == (512, "rms-per-head")


def test_llama_3_1_stretches_its_rope() -> None:
    for name in ("llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b"):
        rope = ENTRIES[name].facts.architecture.rope
        assert rope is not None
        assert rope.scaling is not None
        scaling = rope.scaling
        assert (scaling.type, scaling.factor, scaling.original_max_position) == ("llama3", 8.0, 8192)
        assert (scaling.low_freq_factor, scaling.high_freq_factor) == (1.0, 4.0)


def test_mla_models_cache_a_latent_and_a_rope_key() -> None:
    mla = {name for name, entry in ENTRIES.items() if entry.facts.architecture.attention_type == "mla"}
    assert mla == {"deepseek-v2", "deepseek-v2.5", "deepseek-v3"}
    for name in mla:
        shape = ENTRIES[name].facts.architecture
        assert (shape.kv_lora_rank, shape.qk_rope_head_dim, shape.rotary_dim) == (512, 64, 64)


def test_partial_rotary_is_where_it_is_published() -> None:
    partial = {
        name: entry.facts.architecture.rope.rotary_dim
        for name, entry in ENTRIES.items()
        if entry.facts.architecture.rope and entry.facts.architecture.rope.rotary_dim
    }
    assert partial == {"phi-2": 32, "chatglm2-6b": 64, "chatglm3-6b": 64, "glm-4": 64}


def test_attention_thresholds_are_the_adapter_tables_or_the_default() -> None:
    for name, entry in ENTRIES.items():
        expected = next((threshold for threshold, names in THRESHOLDS.items() if name in names), 0.90)
        assert entry.facts.attention_threshold == expected, name


def test_price_tiers_follow_the_size_rule() -> None:
    for name, entry in ENTRIES.items():
        assert entry.facts.price_tier == tier_by_size(entry.facts.architecture), name
    tiers = {name: ENTRIES[name].facts.price_tier for name in ("llama-3-8b", "yi-34b", "llama-3-70b", "gpt-4")}
    assert tiers == {"llama-3-8b": "compact", "yi-34b": "standard", "llama-3-70b": "large", "gpt-4": None}


def test_licences_are_given_with_an_address_where_they_are_known() -> None:
    for name, licence in LICENCES.items():
        stated = ENTRIES[name].facts.licence
        assert stated is not None
        assert (stated.name, bool(stated.url)) == (licence, True)
    unknown = {entry.name for entry in OPEN if entry.facts.licence is None}
    assert unknown == {
        *("baichuan-7b", "baichuan-13b", "baichuan2-7b", "baichuan2-13b"),
        *("internlm-7b", "internlm-20b", "internlm2-7b", "internlm2-20b"),
        *("chatglm-6b", "chatglm2-6b", "chatglm3-6b", "glm-4"),
    }


def test_no_spelling_leads_to_two_models() -> None:
    every = [spelling for entry in ENTRIES.values() for spelling in spellings(entry.name, entry.facts)]
    assert len(every) == len(set(every))
