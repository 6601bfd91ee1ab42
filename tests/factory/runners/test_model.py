"""Real models: what is read from a cache is what the model put there, and a model continues from what is put back."""

import numpy as np
import pytest
import torch

from factory.runners.model import RunningModel
from kvcache.rows import unpack_rows

pytestmark = pytest.mark.models

TEXT = (
    "Hundreds of people have been forced to vacate their homes in the Southern Highlands of New South Wales as strong "
    "winds today pushed a huge bushfire towards the town of Hill Top. A new blaze near Goulburn, south-west of Sydney, "
    "has forced the closure of the Hume Highway. At about four in the afternoon, a marked deterioration in the weather "
    "as a storm cell moved east across the Blue Mountains forced authorities to make a decision to evacuate people."
)
FLOAT32 = 2e-6  # relative to the largest key of a layer


def test_the_geometry_is_the_registrys(smollm2: RunningModel, gemma3: RunningModel) -> None:
    assert (smollm2.geometry.width, gemma3.geometry.width) == (11_520, 9_216)
    full = [layer for layer, window in enumerate(gemma3.geometry.windows) if window is None]
    assert full == [5, 11, 17]
    assert [gemma3.geometry.thetas[layer] for layer in (4, 5)] == [10_000.0, 1_000_000.0]


def test_rotating_the_keys_back_gives_the_models_own_cache_in_every_layer(model: RunningModel) -> None:
    cache = model.prefill(model.encode(TEXT).ids)
    keys, values = unpack_rows(model.rows_of(cache), geometry=model.geometry)
    assert len(keys) == len(cache.layers) == model.geometry.layers
    for layer, own in enumerate(cache.layers):
        expected = own.keys[0].numpy().transpose(1, 0, 2)
        np.testing.assert_allclose(keys[layer], expected, atol=FLOAT32 * np.abs(expected).max())
        np.testing.assert_array_equal(values[layer], own.values[0].numpy().transpose(1, 0, 2))


def test_the_keys_in_the_rows_are_those_before_the_rotation_in_every_layer(model: RunningModel) -> None:
    ids = model.encode(TEXT).ids
    geometry = model.geometry
    rows = model.capture(ids).reshape(-1, geometry.layers, 2, geometry.heads, geometry.head_dim)
    before = model.keys_before_norm(ids).reshape(geometry.layers, -1, geometry.heads, geometry.head_dim)
    for layer, module in enumerate(model.network.model.layers):
        norm = getattr(module.self_attn, "k_norm", torch.nn.Identity())
        with torch.inference_mode():
            expected = norm(torch.from_numpy(before[layer])).numpy()
        np.testing.assert_allclose(rows[:, layer, 0], expected, atol=2e-5 * np.abs(expected).max())


def test_a_model_continues_from_its_own_injected_cache_token_for_token(model: RunningModel) -> None:
    ids = [model.bos, *model.encode(TEXT).ids]
    own = model.network.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=24, do_sample=False
    )
    cache = model.cache_of(model.capture(ids[1:-1]))  # all but the last token, which is read anew
    injected = model.network.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids)),
        past_key_values=cache,
        max_new_tokens=24,
        do_sample=False,
    )
    assert injected[0].tolist() == own[0].tolist()


def test_the_nll_after_an_injected_cache_is_that_after_reading(model: RunningModel) -> None:
    ids = model.encode(TEXT).ids
    context, continuation = ids[:60], ids[60:]
    read = model.continuation_nll(model.prefill(context), continuation)
    injected = model.continuation_nll(model.cache_of(model.capture(context)), continuation)
    assert len(read) == len(continuation) - 1
    np.testing.assert_allclose(injected, read, atol=1e-4)


def test_the_head_does_not_run_over_text_that_is_not_scored(model: RunningModel) -> None:
    calls: list[int] = []
    first = model.network.lm_head.pieces[0]
    hook = first.register_forward_hook(lambda _module, inputs, _out: calls.append(len(inputs[0])))
    try:
        model.capture(model.encode(TEXT).ids)
        assert calls == []
        model.continuation_nll(model.prefill(()), model.encode(TEXT).ids[:10])
        assert calls == [9]
    finally:
        hook.remove()


def test_the_same_text_has_spans_that_cover_it(model: RunningModel) -> None:
    encoding = model.encode(TEXT)
    assert encoding.spans[0][0] == 0
    assert encoding.spans[-1][1] == len(TEXT)
