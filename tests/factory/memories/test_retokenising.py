"""A memory's token ids, and nothing else, become its text in another model's tokens; or a reason why not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from awareness_sdk.first_layer import first_layers_of
from factory.memories.retokenising import tokens_made
from factory.runners.model import RunningModel
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.snapshot import KVSnapshot
from marketplace.exchange.kv_cache_inputs import tokens_from_file
from tests.marketplace.screening.sample import read
from tests.tiny import BOS, VOCABULARY, tiny_model

TEXT = "The bell will be made in the city of Vienna."


class PairTokenizer:
    """A token for every two bytes."""

    def __call__(self, text: str, **_options: Any) -> dict[str, list[Any]]:
        pairs = [text[at : at + 2] for at in range(0, len(text), 2)]
        ids = [1 + sum(map(ord, pair)) % (VOCABULARY - 1) for pair in pairs]
        return {"input_ids": ids, "offset_mapping": [(2 * at, 2 * at + len(each)) for at, each in enumerate(pairs)]}


@pytest.fixture(scope="module")
def target() -> RunningModel:
    return replace(tiny_model(), name="gemma-3-270m", tokenizer=PairTokenizer())


def made(snapshot: KVSnapshot, tiny: RunningModel, target: RunningModel) -> Any:
    return tokens_made(snapshot.frame, source=tiny, target=target, layers=1)


def changed(snapshot: KVSnapshot, **frame: Any) -> KVSnapshot:
    return KVSnapshot(replace(snapshot.frame, **frame), snapshot.keys, snapshot.values)


def test_the_file_has_the_texts_tokens_and_the_targets_first_layers(tiny, target) -> None:
    found = made(read(tiny, TEXT), tiny, target)
    tokens = tokens_from_file(found.file)
    wanted = target.encode(TEXT)
    assert (found.tokens, found.layers) == (len(wanted.ids), 1)
    np.testing.assert_array_equal(tokens.ids, [BOS, *wanted.ids])
    np.testing.assert_array_equal(tokens.spans, [(0, 0), *wanted.spans])
    np.testing.assert_array_equal(tokens.source_spans, tiny.encode(TEXT).spans)
    rows = first_layers_of(target.network, np.array(wanted.ids), layers=1, bos=BOS)
    np.testing.assert_allclose(tokens.first_layer[1:], rows, rtol=1e-3, atol=1e-3)


def test_neither_offsets_nor_bos_are_needed(tiny, target) -> None:
    whole = read(tiny, TEXT)
    without = changed(whole.select(np.arange(1, whole.frame.tokens)), offsets=None)
    shifted = KVSnapshot(without.frame.moved(-1), without.keys, without.values)
    assert made(shifted, tiny, target) == made(whole, tiny, target)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frame: {"token_ids": None}, "does not say which tokens"),
        (lambda frame: {"token_ids": np.where(frame.positions == 5, BOS, frame.token_ids)}, "in other tokens"),
        (lambda frame: {"token_ids": np.where(frame.positions == 5, 66, frame.token_ids)}, "names another context"),
        (lambda frame: {"token_ids": frame.token_ids + VOCABULARY}, "outside of 0 to"),
        (lambda frame: {"offsets": np.maximum(frame.offsets - 1, 0)}, "offsets are not those"),
        (lambda frame: {"next_position": frame.next_position + 1}, "1 tokens of the context were dropped"),
    ],
)
def test_ids_that_are_not_the_text_are_refused_without_quoting_it(tiny, target, change, reason) -> None:
    memory = read(tiny, TEXT)
    with pytest.raises(InvalidInput, match=reason) as refused:
        made(changed(memory, **change(memory.frame)), tiny, target)
    assert not any(word in str(refused.value) for word in ("bell", "Vienna"))
