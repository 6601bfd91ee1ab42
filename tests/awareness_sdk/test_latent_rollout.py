"""Latent thoughts: a batch gives what each prompt gives alone, positions go on, and no steps are a plain prefill."""

from dataclasses import replace

import numpy as np
import pytest

from awareness_sdk.latent_rollout import Realignment, realignment_of, roll_out, think_on
from awareness_sdk.transformers_bridge import cache_of, snapshot_of
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Method, QualityMetrics, Space, TokenAlignment, WMatrixBuilder
from tests import networks

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

HIDDEN, VOCABULARY = networks.SHAPE["hidden_size"], networks.SHAPE["vocab_size"]
WINDOW, STEPS = 6, 5
LENGTHS = (13, 4, 9)
KINDS = ["sliding_attention", "full_attention"]


def gemma():
    return networks.gemma(sliding_window=WINDOW, layer_types=KINDS)


@pytest.fixture(params=[networks.llama, gemma])
def network(request):
    return request.param().double()  # thoughts feed on each other, and float32's rounding grows with them


@pytest.fixture
def realignment() -> Realignment:
    matrix = torch.randn(HIDDEN, HIDDEN, generator=torch.Generator().manual_seed(1))
    return Realignment(matrix.double(), norm=3.0, model="tiny", weights="sha256:0")


@pytest.fixture
def prompts():
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(1, VOCABULARY, (length,), generator=generator) for length in LENGTHS]


def padded(prompts, side: str):
    """Return ids and mask `[batch, longest]`; "both" puts padding on either side of the shorter ones."""
    longest = max(map(len, prompts))
    rows = []
    for prompt in prompts:
        missing = longest - len(prompt)
        left = {"left": missing, "right": 0, "both": missing // 2}[side]
        parts = (prompt, torch.ones_like(prompt))
        rows.append([torch.nn.functional.pad(each, (left, missing - left)) for each in parts])
    return (torch.stack(part) for part in zip(*rows, strict=True))


def by_hand(network, prompt, realignment: Realignment, steps: int):
    """The definition, token by token, without a batch: the whole sequence is read anew for every thought."""
    embeddings = network.get_input_embeddings()(prompt[None])
    with torch.inference_mode():
        for _ in range(steps):
            hidden = network.model(inputs_embeds=embeddings, use_cache=False).last_hidden_state[:, -1]
            thought = hidden @ realignment.matrix
            thought = thought / thought.norm() * realignment.norm
            embeddings = torch.cat([embeddings, thought[:, None]], dim=1)
        cache = transformers.DynamicCache()
        network.model(inputs_embeds=embeddings, past_key_values=cache)
    return snapshot_of(cache, config=network.config)


def assert_alike(found, expected) -> None:
    assert found.frame.next_position == expected.frame.next_position
    assert np.array_equal(found.frame.positions, expected.frame.positions)
    np.testing.assert_allclose(found.keys, expected.keys, atol=1e-5)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5)


def test_thoughts_are_realigned_states_read_as_embeddings(network, prompts, realignment) -> None:
    found = roll_out(network, prompts[0][None], steps=STEPS, realignment=realignment)[0]
    assert_alike(found, by_hand(network, prompts[0], realignment, STEPS))
    assert (found.frame.model, found.frame.weights) == ("tiny", "sha256:0")


@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_a_padded_batch_gives_what_each_prompt_gives_alone(network, prompts, realignment, side: str) -> None:
    ids, mask = padded(prompts, side)
    together = roll_out(network, ids, attention_mask=mask, steps=STEPS, realignment=realignment)
    for found, prompt in zip(together, prompts, strict=True):
        assert_alike(found, by_hand(network, prompt, realignment, STEPS))


def test_what_padding_holds_changes_nothing(network, prompts, realignment) -> None:
    ids, mask = padded(prompts, "right")
    other = torch.where(mask.bool(), ids, 7)
    once, again = (
        roll_out(network, given, attention_mask=mask, steps=STEPS, realignment=realignment) for given in (ids, other)
    )
    assert all(np.array_equal(one.keys, two.keys) for one, two in zip(once, again, strict=True))


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_steps_are_a_plain_prefill(network, prompts, realignment, side: str) -> None:
    ids, mask = padded(prompts, side)
    found = roll_out(network, ids, attention_mask=mask, steps=0, realignment=realignment)
    for each, prompt in zip(found, prompts, strict=True):
        cache = transformers.DynamicCache()
        with torch.inference_mode():
            network(prompt[None], past_key_values=cache)
        assert_alike(each, snapshot_of(cache, config=network.config))


def test_the_model_goes_on_after_its_thoughts_at_the_next_position(network, prompts, realignment) -> None:
    snapshot = roll_out(network, prompts[0][None], steps=STEPS, realignment=realignment)[0]
    assert snapshot.frame.next_position == len(prompts[0]) + STEPS
    network = network.float()  # as snapshots are
    cache = cache_of(snapshot, config=network.config)
    with torch.inference_mode():
        found = network(torch.tensor([[5, 6]]), past_key_values=cache).logits
        cache = transformers.DynamicCache()
        for layer, (keys, values) in enumerate(zip(snapshot.keys, snapshot.values, strict=True)):
            cache.update(*(torch.from_numpy(part.transpose(1, 0, 2)[None].copy()) for part in (keys, values)), layer)
        places = torch.arange(snapshot.frame.next_position, snapshot.frame.next_position + 2)[None]
        expected = network(torch.tensor([[5, 6]]), past_key_values=cache, position_ids=places).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_second_agent_thinks_on_from_the_first_ones_memory(network, prompts, realignment) -> None:
    network, realignment = network.float(), replace(realignment, matrix=realignment.matrix.float())  # as snapshots are
    first = roll_out(network, prompts[0][None], steps=0, realignment=realignment)[0]
    found = think_on(network, first, prompts[1].tolist(), steps=2, realignment=realignment)
    whole = by_hand(network, torch.cat(prompts[:2]), realignment, 2)
    assert found.frame.next_position == whole.frame.next_position
    tail = WINDOW - 1  # what a sliding layer still holds
    np.testing.assert_allclose(found.keys[:, -tail:], whole.keys[:, -tail:], atol=2e-4)
    np.testing.assert_allclose(found.keys[1], whole.keys[1], atol=2e-4)


def test_the_same_prompts_give_the_same_thoughts(network, prompts, realignment) -> None:
    once, again = (roll_out(network, prompts[0][None], steps=STEPS, realignment=realignment)[0] for _ in range(2))
    assert np.array_equal(once.keys, again.keys)


def w_matrix(space: Space):
    same = space is Space.REALIGNMENT
    generator = np.random.default_rng(0)
    zero, one = np.zeros(HIDDEN, np.float32), np.ones(HIDDEN, np.float32)
    return (
        WMatrixBuilder()
        .set_version("1.0.0")
        .set_models("tiny", "tiny" if same else "other", space=space)
        .set_method(Method.LEARNED, token_alignment=TokenAlignment.SAME_TOKEN)
        .set_weights(generator.normal(size=(HIDDEN, HIDDEN)).astype("f4"), np.eye(HIDDEN, dtype=np.float16))
        .set_arrays(source_mean=zero, source_scale=one, target_mean=zero, target_scale=0.5 * one)
        .set_quality(QualityMetrics(Basis.ACTIVATION, 1.0, 1.0, HIDDEN**2))
        .build()
    )


def test_a_realignment_is_read_from_its_w_matrix() -> None:
    matrix = w_matrix(Space.REALIGNMENT)
    realign = realignment_of(matrix)
    assert realign.norm == pytest.approx(0.5 * HIDDEN**0.5)
    state = torch.randn(2, HIDDEN)
    found = realign(state)
    torch.testing.assert_close(found.norm(dim=-1), torch.full((2,), realign.norm))
    expected = torch.nn.functional.normalize(state @ torch.from_numpy(matrix.arrays["encoder"]), dim=-1)
    torch.testing.assert_close(found / realign.norm, expected)


def test_a_w_matrix_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidInput, match="realignment"):
        realignment_of(w_matrix(Space.EMBEDDING))


def test_what_does_not_fit_is_refused(realignment, prompts) -> None:
    network, ids = networks.llama(), prompts[0][None]
    with pytest.raises(InvalidInput, match="steps"):
        roll_out(network, ids, steps=-1, realignment=realignment)
    with pytest.raises(InvalidInput, match="batch, tokens"):
        roll_out(network, prompts[0], steps=1, realignment=realignment)
    with pytest.raises(InvalidInput, match="no token"):
        roll_out(network, ids, attention_mask=torch.zeros_like(ids), steps=1, realignment=realignment)
    narrow = Realignment(torch.eye(8), norm=1.0, model="narrow", weights=None)
    with pytest.raises(DimensionMismatch, match="narrow"):
        roll_out(network, ids, steps=1, realignment=narrow)
