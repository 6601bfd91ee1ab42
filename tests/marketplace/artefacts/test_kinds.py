"""Reasoning chains, long-term memories and embeddings on sale."""

import numpy as np
import pytest
from django.test import Client

from latentmas import blobs
from latentmas.protocol.long_term_memory import read_collection
from latentmas.protocol.reasoning_chain import read_chain
from latentmas.protocol.snapshot import read_snapshot
from latentmas.protocol.vectors import read_vectors, write_vectors
from latentmas.rest.scopes import MEMORIES_PUBLISH
from marketplace.artefacts.models import Artefact, ArtefactSegment
from tests.marketplace.artefacts.sample import screen
from tests.marketplace.artefacts.selling import OFFER, kept, post, uploaded
from tests.marketplace.conftest import client_of
from tests.marketplace.sample import SOURCE

pytestmark = pytest.mark.django_db
STEPS = [{"text": "Assume x.", "end": 4, "thoughts": [[1.0, 2.0]]}, {"text": "So y.", "end": 10}]
VECTORS = np.arange(12, dtype="f4").reshape(4, 3)


def file_of(card):
    with blobs.open_blob(card["versions"][0]["file"]["digest"]) as file:
        return file.read()


def test_a_chain_is_its_steps_and_the_memory(shop):
    response = post(shop, "/api/reasoning-chains", OFFER | {"memory": kept(shop), "steps": STEPS, "canary": 3})
    card = response.json()
    assert (response.status_code, card["kind"]) == (201, "reasoning-chain")
    chain = read_chain(file_of(card))
    assert [(step.text, step.end) for step in chain.steps] == [("Assume x.", 4), ("So y.", 10)]
    np.testing.assert_array_equal(chain.steps[0].thoughts, [[1.0, 2.0]])
    snapshot, _ = read_snapshot(chain.memory)
    assert snapshot.frame.tokens == 10
    (version,) = card["versions"]
    assert (version["parts"], version["tokens"], version["steps"]) == (2, 10, [4, 10])
    assert "Assume" not in response.content.decode()


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [{"text": "So.", "end": 9}],
        [{"text": "So.", "end": 11}],
        [{"text": "So.", "end": 5}, {"text": "Or.", "end": 4}, {"text": "And.", "end": 10}],
        [{"text": "So.", "end": 10, "thoughts": [1.0]}],
        [{"text": "So.", "end": 10, "thoughts": [["x"]]}],
        [{"text": "So.", "end": 10, "more": 1}],
    ],
)
def test_impossible_steps_are_refused(shop, steps):
    response = post(shop, "/api/reasoning-chains", OFFER | {"memory": kept(shop), "steps": steps})
    assert (response.status_code, response.json()["code"]) == (422, "INVALID_INPUT")
    assert not Artefact.objects.exists()


def test_a_chain_is_no_memory(shop):
    card = post(shop, "/api/reasoning-chains", OFFER | {"memory": kept(shop), "steps": STEPS}).json()
    screen(card["id"])
    assert Client().get(f"/api/memories/{card['id']}").status_code == 404
    assert Client().get(card["url"]).status_code == 200


def segment(shop, tokens, text, session):
    return {"memory": kept(shop, tokens), "text": text, "session": session}


@pytest.fixture
def long_term(shop, encoder):
    segments = [segment(shop, 5, "The red bicycle.", 1), segment(shop, 7, "The blue house.", 1)]
    response = post(shop, "/api/long-term-memories", OFFER | {"segments": segments, "canary": 2})
    assert response.status_code == 201, response.content
    screen(response.json()["id"])
    return shop.get(response.json()["url"]).json()


def append(shop, card, *segments):
    body = {"rights": "Mine.", "invertible": True, "segments": list(segments)}
    return post(shop, f"{card['url']}/segments", body, seen=card["stream_version"])


def test_a_long_term_memory_is_a_collection_of_segments(long_term):
    collection = read_collection(file_of(long_term))
    assert [(each.tokens, each.text) for each in collection.segments] == [
        (6, "The red bicycle."),
        (8, "The blue house."),
    ]
    assert collection.embeddings.shape == (2, 256)
    assert (long_term["tokens"], long_term["parts"]) == (14, 2)


def test_segments_are_appended_and_make_the_next_version(shop, long_term):
    card = append(shop, long_term, segment(shop, 9, "A green door.", 2)).json()
    assert [each["version"] for each in card["versions"]] == ["1.1.0", "1.0.0"]
    assert card["version"] == "1.0.0"  # until it is screened
    screen(card["id"], "1.1.0")
    shown = Client().get(card["url"]).json()
    assert (shown["version"], shown["tokens"], shown["parts"]) == ("1.1.0", 24, 3)
    collection = read_collection(file_of(shown))
    assert [each.session for each in collection.segments] == [1, 1, 2]
    assert list(ArtefactSegment.objects.values_list("version", "place")) == [("1.0.0", 0), ("1.0.0", 1), ("1.1.0", 2)]


def test_a_session_cannot_be_left_out_or_gone_back_to(shop, long_term):
    for session in (3, 0):
        assert append(shop, long_term, segment(shop, 9, "A green door.", session)).status_code == 422
    later = append(shop, long_term, segment(shop, 9, "A green door.", 2)).json()
    assert append(shop, later, segment(shop, 10, "A grey door.", 1)).status_code == 422


def test_a_segment_is_appended_once(shop, long_term):
    response = append(shop, long_term, segment(shop, 5, "The red bicycle again.", 2))
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")


@pytest.mark.parametrize(
    ("wanted", "texts"),
    [
        ({"query": "house", "token_budget": 10}, [8]),
        ({"query": "bicycle", "token_budget": 10}, [6]),
        ({"query": "bicycle"}, [6, 8]),
        ({"token_budget": 10}, [8]),
        ({}, [6, 8]),
    ],
)
def test_a_selection_fits_the_budget_and_the_query(shop, long_term, wanted, texts):
    response = post(shop, f"{long_term['url']}/select", wanted)
    found = response.json()
    assert [each["tokens"] for each in found["segments"]] == texts
    assert found["tokens"] == sum(texts)
    assert ("query" in wanted) == all(each["relevance"] is not None for each in found["segments"])
    assert "bicycle" not in response.content.decode()


@pytest.mark.parametrize("wanted", [{"query": "house", "token_budget": 5}, {"token_budget": 5}])
def test_a_budget_that_nothing_fits_is_refused(shop, long_term, wanted):
    response = post(shop, f"{long_term['url']}/select", wanted)
    assert (response.status_code, response.json()["field"]) == (422, "token_budget")


def test_selecting_asks_for_a_scope(long_term):
    assert post(Client(), f"{long_term['url']}/select", {}).status_code == 401


@pytest.fixture
def uploader(alice, seller, registry):
    return client_of(alice, MEMORIES_PUBLISH)


def test_embeddings_are_a_file_of_vectors(uploader):
    upload = uploaded(uploader, write_vectors(VECTORS, model=SOURCE))
    card = post(uploader, "/api/embeddings", OFFER | {"upload": upload, "model": SOURCE, "canary": 1}).json()
    (version,) = card["versions"]
    assert (version["parts"], version["geometry"]["width"], version["compression"]["method"]) == (4, 3, "vectors")
    screen(card["id"])
    given = Client().get(f"{card['url']}/canary")
    np.testing.assert_array_equal(read_vectors(b"".join(given.streaming_content)).array, VECTORS[:1])


@pytest.mark.parametrize(
    ("data", "model", "code"),
    [
        (b"none", SOURCE, "INVALID_INPUT"),
        (write_vectors(VECTORS, model="gpt-4"), SOURCE, "INVALID_INPUT"),
        (write_vectors(VECTORS), "no-model", "MODEL_NOT_SUPPORTED"),
    ],
)
def test_other_files_are_refused(uploader, data, model, code):
    response = post(uploader, "/api/embeddings", OFFER | {"upload": uploaded(uploader, data), "model": model})
    assert response.json()["code"] == code
    assert not Artefact.objects.exists()
