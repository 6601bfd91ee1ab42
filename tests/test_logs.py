"""Log lines in both forms: what they hold, and that a message cannot forge a line."""

import json
import logging
import sys
from typing import Any

import pytest

from latentmas import request_ids
from latentmas.logs import JsonFormatter, TextFormatter


def record(message: str = "hello %s", *arguments: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("a.logger", logging.WARNING, __file__, 1, message, arguments or ("world",), None)
    vars(made).update(more)
    return made


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    return dict(json.loads(JsonFormatter().format(made)))


def test_json_holds_the_line_and_what_was_given_beside_it():
    line = as_json(record(status=200, created=0.0))
    assert line == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "WARNING",
        "logger": "a.logger",
        "message": "hello world",
        "status": 200,
    }


def test_both_forms_name_the_request_and_the_job():
    with request_ids.bound("request-1", job_id="job-1"):
        line, text = as_json(record()), TextFormatter().format(record())
    assert (line["request_id"], line["job_id"]) == ("request-1", "job-1")
    assert "WARNING a.logger [request request-1, job job-1]: hello world" in text
    assert "[" not in TextFormatter().format(record())
    assert "request_id" not in as_json(record())


def test_json_holds_the_exception_and_stays_one_line():
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        made = record("a\nb%s", "", exc_info=sys.exc_info())
    text = JsonFormatter().format(made)
    assert "\n" not in text
    line = json.loads(text)
    assert line["message"] == "a\nb"
    assert "ValueError: first\nsecond" in line["exception"]
    assert "test_json_holds_the_exception" in line["exception"]


def test_djangos_request_with_its_address_is_left_out():
    assert "request" not in as_json(record(request="<WSGIRequest: GET '/x?key=secret'>", status_code=400))


def test_what_json_does_not_know_is_written_as_text():
    assert as_json(record(thing={1, 2}))["thing"] == "{1, 2}"


def test_what_a_caller_gives_replaces_no_field_of_the_line():
    with request_ids.bound("request-1"):
        assert as_json(record(request_id="forged"))["request_id"] == "request-1"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_record_can_be_formatted_twice(formatter):
    made = record()
    assert formatter.format(made) == formatter.format(made)
