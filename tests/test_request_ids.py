"""Request ids: which are taken over, and that code sees the one it runs for."""

import threading

import pytest

from latentmas import request_ids


@pytest.mark.parametrize("given", ["0123abcd", "a1b2c3d4-e5f6-7890-abcd-ef0123456789", "A" * 64, "trace_0001"])
def test_a_well_formed_id_is_taken_over(given):
    assert request_ids.accepted(given) == given


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "short",
        "a" * 65,
        "-leading-dash",
        "with space in it",
        "alice@example.org",  # ids are recorded for good
        "line\nbreak-in-it",
        "abcdefgh\n",
        "é" * 10,
    ],
)
def test_any_other_is_replaced_by_a_new_one(given):
    made = request_ids.accepted(given)
    assert made != given
    assert request_ids.accepted(made) == made
    assert request_ids.accepted(given) != made


def test_ids_hold_inside_and_are_restored_outside():
    assert request_ids.current() is request_ids.current_job() is None
    with request_ids.bound("request-1"), request_ids.bound("request-2", job_id="job-1"):
        assert (request_ids.current(), request_ids.current_job()) == ("request-2", "job-1")
    with request_ids.bound("request-1"):
        assert (request_ids.current(), request_ids.current_job()) == ("request-1", None)
    assert request_ids.current() is request_ids.current_job() is None


def test_another_thread_does_not_see_them():
    seen: list[str | None] = []
    with request_ids.bound("request-1"):
        thread = threading.Thread(target=lambda: seen.append(request_ids.current()))
        thread.start()
        thread.join()
    assert seen == [None]
