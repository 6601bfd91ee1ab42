"""The OpenAPI document is whole: statuses that follow from what an operation takes, and both spellings of keys."""

import pytest
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator

DOCUMENT = SchemaGenerator().get_schema(request=None, public=True)
OPERATIONS = {
    (method, path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
SCHEMAS = DOCUMENT["components"]["schemas"]


def problems(method, path):
    return {
        status
        for status, response in OPERATIONS[method, path]["responses"].items()
        if "application/problem+json" in response.get("content", {})
    }


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("get", "/api/changes", "400 401 404 422 429"),
        ("get", "/api/webhooks", "400 401 403 422 429"),
        ("post", "/api/kv-cache/estimate-savings", "400 404 409 411 413 415 422 429 503 507"),
        ("post", "/api/tokens", "400 401 403 409 411 413 415 422 429 503 507"),
        ("put", "/api/agents/{agent_id}", "400 401 403 404 409 411 412 413 415 422 428 429 503 507"),
        ("delete", "/api/agents/{agent_id}/keys/{key_id}", "400 401 403 404 409 412 422 428 429 503"),
    ],
)
def test_an_operation_documents_its_problems(method, path, expected):
    assert problems(method, path) == set(expected.split())


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_documents_that_it_is_throttled(method, path):
    assert "Retry-After" in OPERATIONS[method, path]["responses"]["429"]["headers"]


def test_the_document_is_valid_and_nothing_in_it_was_guessed(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "openapi.yaml"))


def test_answers_with_camel_keys_are_described_beside_the_usual_ones():
    answer = OPERATIONS["get", "/api/kv-cache/models"]["responses"]["200"]["content"]["application/json"]
    names = ("AdaptersOutput", "AdaptersOutputCamel")
    assert answer["schema"] == {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}
    usual, camel = SCHEMAS["AdapterSummaryOutput"], SCHEMAS["AdapterSummaryOutputCamel"]
    assert ("attention_type" in usual["required"], "attentionType" in camel["required"]) == (True, True)
    assert {"ttft", "prefillTtft"} <= set(SCHEMAS["MetricsOutputCamel"]["required"])
