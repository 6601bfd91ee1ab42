"""What a test needs and this machine has not."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test for want of a program; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed: in CI that is a failure")
    pytest.skip(f"{what} is not installed here")
