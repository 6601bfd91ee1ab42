"""Exceptions of the client: what a problem document becomes."""

from awareness_sdk.errors import InvalidRequest, ServerFailed, error_of


def test_a_failure_of_the_server_carries_the_id_to_ask_its_operator_with():
    error = error_of(500, {"code": "INTERNAL_ERROR", "detail": "it has been logged", "request_id": "trace-00000001"})
    assert isinstance(error, ServerFailed)
    assert error.request_id == "trace-00000001"


def test_a_mistake_of_the_caller_has_none():
    error = error_of(422, {"code": "INVALID_INPUT", "detail": "too small", "field": "ratio"})
    assert isinstance(error, InvalidRequest)
    assert (error.request_id, error.field) == (None, "ratio")
