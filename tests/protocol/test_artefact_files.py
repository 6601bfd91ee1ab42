"""The files of reasoning chains, long-term memories, their selections, vectors, and the marks of deliveries."""

import io

import numpy as np
import pytest

from latentmas.protocol import long_term_memory as long
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.marks import mark_in, marked
from latentmas.protocol.reasoning_chain import MAX_STEPS, MAX_TEXT_BYTES, ReasoningChain, Step, read_chain, write_chain
from latentmas.protocol.snapshot import read_snapshot, write_snapshot
from latentmas.protocol.vectors import read_vectors, write_vectors
from tests.protocol.test_snapshot import snapshot

THOUGHTS = np.arange(6, dtype="f4").reshape(2, 3)


def chain(*steps: Step) -> ReasoningChain:
    return ReasoningChain(steps or (Step("Assume.", 3, THOUGHTS), Step("Therefore.", 5)), write_snapshot(snapshot()))


def segment(place: int, tokens: int = 10) -> long.SegmentText:
    return long.SegmentText(f"s{place}", 1 + place, tokens, "sha256:" + str(place) * 64, f"Day {place}.")


def collection(*tokens: int) -> long.Collection:
    embeddings = np.eye(len(tokens), 4, dtype="f4")
    segments = tuple(segment(place, each) for place, each in enumerate(tokens))
    return long.Collection("smollm2-135m", "minilm", "sha256:" + "e" * 64, segments, embeddings)


def test_a_chain_survives_its_file() -> None:
    read = read_chain(write_chain(chain()))
    assert [(step.text, step.end) for step in read.steps] == [("Assume.", 3), ("Therefore.", 5)]
    np.testing.assert_array_equal(read.steps[0].thoughts, THOUGHTS)
    assert read.steps[1].thoughts is None
    assert read.memory == chain().memory
    assert write_chain(read) == write_chain(chain())


@pytest.mark.parametrize(
    "steps",
    [
        [Step("a", 3), Step("b", 3)],
        [Step("a", 0)],
        [Step(" ", 1)],
        [Step("a", 1 + place) for place in range(MAX_STEPS + 1)],
        [Step("ä" * (MAX_TEXT_BYTES // 2 + 1), 1)],
        [Step("a", 1, THOUGHTS), Step("b", 2, THOUGHTS[:, :2])],
        [Step("a", 1, THOUGHTS[0])],
    ],
)
def test_impossible_steps_are_refused(steps: list[Step]) -> None:
    with pytest.raises(InvalidInput):
        chain(*steps)


def test_a_chain_without_steps_is_refused() -> None:
    with pytest.raises(InvalidInput):
        ReasoningChain((), b"")


@pytest.mark.parametrize("read", [read_chain, long.read_collection, long.read_selection, read_vectors])
def test_another_file_is_refused(read) -> None:
    with pytest.raises(InvalidInput):
        read(write_snapshot(snapshot()))


def test_a_chain_with_a_foreign_tensor_is_refused() -> None:
    opened = tensors.parse_tensors(write_chain(chain()), max_bytes=1 << 20)
    file = io.BytesIO()
    arrays = {name: opened.read(name) for name in opened.tensors} | {"thoughts.0007": THOUGHTS}
    tensors.write(file, arrays, opened.document)
    with pytest.raises(InvalidInput, match=r"thoughts\.0007"):
        read_chain(file.getvalue())


def test_a_collection_survives_its_file() -> None:
    read = long.read_collection(long.write_collection(collection(10, 20)))
    assert read.segments == collection(10, 20).segments
    np.testing.assert_array_equal(read.embeddings, collection(10, 20).embeddings)


@pytest.mark.parametrize(("budget", "places"), [(100, [0, 1, 2]), (50, [0, 2]), (30, [2]), (29, [0]), (10, [0])])
def test_the_most_relevant_segments_that_fit_are_chosen(budget: int, places: list[int]) -> None:
    query = np.array([0.3, 0.2, 0.9, 0.0], "f4")
    chosen = long.choose(collection(10, 30, 30), query, token_budget=budget)
    assert [each.segment.segment_id for each in chosen] == [f"s{place}" for place in places]
    assert [each.relevance for each in chosen] == pytest.approx([query[place] for place in places])


def test_a_budget_that_no_segment_fits_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the smallest has 10"):
        long.choose(collection(10, 30), np.ones(4, "f4"), token_budget=9)


def test_a_selection_survives_its_file() -> None:
    given = [long.Delivered("s0", 1, 10, "Day 0.", 0.5, b"one"), long.Delivered("s3", 2, 5, "Day 3.", None, b"two")]
    assert long.read_selection(long.write_selection(given)) == given


def test_vectors_survive_their_file() -> None:
    read = read_vectors(write_vectors(THOUGHTS, model="minilm"))
    assert (read.model, read.weights) == ("minilm", None)
    np.testing.assert_array_equal(read.array, THOUGHTS)


def test_a_marked_file_holds_the_same_with_its_mark() -> None:
    data = write_snapshot(snapshot())
    file = marked(marked(data, {"payload": "older"}), {"payload": "x"})
    assert (mark_in(data), mark_in(file)) == (None, {"payload": "x"})
    read, _ = read_snapshot(file)
    assert write_snapshot(read) == data
