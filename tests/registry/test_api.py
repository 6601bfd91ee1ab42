import pytest
from django.test import Client

from latentmas.registry import commands
from tests.registry.conftest import CURATOR

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("loaded"),
]


def get(client: Client, address: str, *, status: int = 200, **headers: str) -> dict:  # type: ignore[type-arg]
    response = client.get(address, headers=headers)
    assert response.status_code == status, response.content
    return response.json()  # type: ignore[no-any-return]


def names(page: dict) -> list[str]:  # type: ignore[type-arg]
    return [model["name"] for model in page["results"]]


def test_the_list_comes_in_pages_that_lose_nothing(client: Client) -> None:
    found, address = [], "/api/models?limit=30"
    while address:
        page = get(client, address)
        found += names(page)
        address = page["next"]
    assert found == sorted(found)
    assert len(found) == 74


def test_a_page_takes_a_constant_number_of_queries(client: Client, django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    for limit in (1, 100):
        with django_assert_num_queries(1):
            get(client, f"/api/models?limit={limit}")
        with django_assert_num_queries(2):
            get(client, f"/api/models/bert/compatible?limit={limit}")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("family=Meta LLaMA", 8),
        ("open_weights=false", 14),
        ("open_weights=true&family=BERT", 1),
        ("active=false", 1),
        ("active=true", 73),
        ("role=source", 73),
        ("search=smollm", 1),
        ("search=no such model", 0),
    ],
)
def test_the_list_is_filtered(client: Client, query: str, count: int) -> None:
    commands.deactivate_model(name="grok-1", reason="test of filters", metadata=CURATOR)
    assert len(get(client, f"/api/models?limit=100&{query}")["results"]) == count


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("active=maybe", "active"),
        ("role=x", "role"),
    ],
)
def test_it_rejects_a_malformed_filter(client: Client, query: str, field: str) -> None:
    problem = get(client, f"/api/models?{query}", status=422)
    assert (problem["code"], problem["field"]) == ("INVALID_INPUT", field)


def test_a_model_is_returned_with_its_architecture_and_licence(client: Client) -> None:
    model = get(client, "/api/models/gemma-3-270m")
    assert model["licence"] == {"name": "Gemma Terms of Use", "url": "https://ai.google.dev/gemma/terms"}
    assert (model["kv_width"], model["attention_threshold"], model["price_tier"]) == (9216, 0.9, "compact")
    assert model["architecture"]["rope"]["theta"] == 1e6
    assert model["architecture"]["layer_pattern"] == ["sliding"] * 5 + ["full"]


def test_what_is_unknown_is_null(client: Client) -> None:
    model = get(client, "/api/models/gpt-4")
    assert (model["licence"], model["kv_width"], model["hub_id"]) == (None, None, None)
    assert model["architecture"]["hidden_size"] is None
    assert get(client, "/api/models/o1")["popularity"] is None


@pytest.mark.parametrize("spelling", ["gpt-3.5-turbo", "GPT-3.5", "gpt-3.5"])
def test_a_model_is_found_by_an_alias_with_dots(client: Client, spelling: str) -> None:
    assert get(client, f"/api/models/{spelling}")["name"] == "gpt-3.5"


def test_a_model_is_found_by_its_hub_id(client: Client) -> None:
    assert get(client, "/api/models/meta-llama/Llama-3.1-8B")["name"] == "llama-3.1-8b"
    assert get(client, "/api/models/meta-llama/Llama-3.1-8B/compatible?limit=1")["results"]


def test_an_unknown_model_is_a_problem_with_a_suggestion(client: Client) -> None:
    problem = get(client, "/api/models/gpt-5.4", status=404)
    assert problem["code"] == "MODEL_NOT_SUPPORTED"
    assert problem["facts"]["suggestion"] == "gpt-4"


def test_compatible_models_say_what_is_exchanged(client: Client) -> None:
    page = get(client, "/api/models/smollm2-135m/compatible?limit=100")
    exchanges = {row["name"]: row["exchange"] for row in page["results"]}
    assert (exchanges["gemma-3-270m"], exchanges["bert"]) == ("kv-cache", "vector")
    assert "smollm2-135m" not in exchanges


def test_an_etag_saves_the_second_answer_until_the_model_changes(client: Client) -> None:
    etag = client.get("/api/models/bert")["ETag"]
    assert client.get("/api/models/bert", headers={"If-None-Match": etag}).status_code == 304
    commands.change_popularity(name="bert", popularity=1, metadata=CURATOR)
    assert client.get("/api/models/bert", headers={"If-None-Match": etag}).status_code == 200
    listed = client.get("/api/models")["ETag"]
    assert client.get("/api/models", headers={"If-None-Match": listed}).status_code == 304


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_registry_is_read_only_over_rest(client: Client, method: str) -> None:
    assert getattr(client, method)("/api/models/bert").status_code == 405
