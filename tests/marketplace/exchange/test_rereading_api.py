"""`kv-cache/align` for a target that reads some of its tokens itself."""

import json
from typing import Any

import pytest
from django.test import Client

from kvcache.server.payloads import Given, to_file
from tests.marketplace.exchange.sample import certified_listing, memory
from tests.marketplace.sample import TARGET

pytestmark = pytest.mark.django_db
ALIGN = "/api/latentmas/kv-cache/align"
FILE = "application/vnd.safetensors"
TEXT = "ab. Cd e"
SPANS = [[0, 0], *([each, each + 1] for each in range(len(TEXT)))]


@pytest.fixture(autouse=True)
def listed(api: Client) -> None:
    certified_listing()


def answered(api: Client, **body: Any) -> Any:
    stored = api.post("/api/stored-memories", to_file(Given(memory(len(TEXT)))), FILE).json()["id"]
    asked = json.dumps({"target_model": TARGET, "memory": stored, **body})
    return api.post(ALIGN, asked, "application/json", headers={"Accept": FILE})


def planned(api: Client, **options: Any) -> Any:
    response = answered(api, target_spans=SPANS, **options)
    assert response.status_code == 200, response.content
    return json.loads(response["LatentMAS-Result"])


def test_the_plan_comes_with_the_memory(api):
    result = planned(api, reread=0.5, text=TEXT, question="Who is Cd?")
    assert result["reread"] == {"chooser": "words", "positions": [5, 6, 7, 8], "tokens": 8}
    assert result["tokens"] == 9


def test_without_a_text_the_last_tokens_are_read(api):
    assert planned(api, reread_tokens=2)["reread"] == {"chooser": "last", "positions": [7, 8], "tokens": 8}


def test_a_sentence_is_found_by_its_meaning(api, monkeypatch: pytest.MonkeyPatch):
    class Encoder:
        def embed(self, sentences: list[str]) -> Any:
            import numpy as np

            return np.array([[float("Cd" in each or "Who" in each), 0.1] for each in sentences])

    monkeypatch.setattr("marketplace.exchange.kv_cache.sentence_encoder", Encoder)
    plan = planned(api, reread=0.5, text=TEXT, question="Who?", chooser="meaning")["reread"]
    assert plan["positions"] == [5, 6, 7, 8]


def test_what_the_receiver_chose_itself_is_taken_as_it_is(api):
    document = planned(api, reread_positions=[1, 8])
    assert (document["reread"], document["tokens"]) == (None, 9)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"reread": 1.5}, "reread"),
        ({"reread": 0.5, "reread_tokens": 3}, "reread"),
        ({"chooser": "last"}, "reread"),
        ({"reread_tokens": 9}, "reread_tokens"),
        ({"reread": 0.5, "question": "Who?"}, "text"),
        ({"reread": 0.5, "text": "ab"}, "text"),
        ({"reread": 0.5, "chooser": "words", "text": TEXT}, "question"),
        ({"reread": 0.5, "chooser": "surprisal"}, "chooser"),
        ({"reread": 0.5, "chooser": "newest"}, "chooser"),
        ({"reread": 0.5, "reread_positions": [1]}, "reread"),
        ({"reread_positions": [9]}, "reread"),
        ({"reread_positions": [3, 2]}, "reread"),
    ],
)
def test_what_cannot_be_chosen_is_refused(api, options: dict[str, Any], field: str):
    response = answered(api, target_spans=SPANS, **options)
    assert response.status_code == 422, response.content
    problem = json.loads(response.content)
    assert problem["code"] == "INVALID_INPUT"
    assert field in json.dumps(problem.get("field") or problem)


def test_tokens_to_read_are_chosen_among_the_targets_own(api):
    response = answered(api, reread=0.5)
    assert response.status_code == 422
    assert response.json()["field"] == "target_spans"
