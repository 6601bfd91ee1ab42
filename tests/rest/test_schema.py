"""Statuses that follow from what an operation takes are documented."""

import pytest
from drf_spectacular.generators import SchemaGenerator

OPERATIONS = {
    (method, path): operation
    for path, operations in SchemaGenerator().get_schema(request=None, public=True)["paths"].items()
    for method, operation in operations.items()
}


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
        ("post", "/api/kv-cache/estimate-savings", "400 404 409 411 413 415 422 429 503"),
        ("post", "/api/tokens", "400 401 403 409 411 413 415 422 429 503"),
        ("put", "/api/agents/{agent_id}", "400 401 403 404 409 411 412 413 415 422 428 429 503"),
        ("delete", "/api/agents/{agent_id}/keys/{key_id}", "400 401 403 404 409 412 422 428 429 503"),
    ],
)
def test_an_operation_documents_its_problems(method, path, expected):
    assert problems(method, path) == set(expected.split())


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_documents_that_it_is_throttled(method, path):
    assert "Retry-After" in OPERATIONS[method, path]["responses"]["429"]["headers"]
