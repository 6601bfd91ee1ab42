import threading
import time

import jax
import jax.numpy as jnp
import pytest

from kvcache.server.recording import Clock, clocked


def test_a_first_call_is_cold_and_a_second_is_not():
    kernel = jax.jit(lambda x: jnp.sin(x) * 3.25)
    with clocked() as first:
        kernel(jnp.ones(7)).block_until_ready()
    with clocked() as second:
        kernel(jnp.ones(7)).block_until_ready()
    assert first.cold
    assert 0 < first.compile_ms <= first.duration_ms
    assert (second.cold, second.compile_ms) == (False, 0.0)


def test_nested_spans_are_counted_once():
    clock = Clock(spans=[(1.0, 2.0), (1.2, 1.5), (1.9, 2.5), (4.0, 4.5)])
    assert clock.compile_ms == pytest.approx(2000.0)


def test_what_another_thread_compiles_is_its_own():
    def compile_something():
        jax.jit(lambda x: jnp.cos(x) / 7.5)(jnp.ones(9)).block_until_ready()

    with clocked() as clock:
        other = threading.Thread(target=compile_something)
        other.start()
        other.join()
    assert not clock.cold


def test_the_time_counts_where_the_work_fails():
    def fail():
        time.sleep(0.01)
        raise ValueError("no")

    with clocked() as clock, pytest.raises(ValueError, match="no"):
        fail()
    assert clock.duration_ms >= 10
