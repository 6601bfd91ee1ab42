"""Requests drawn from the OpenAPI document: no operation fails, or answers what the document does not say.

`python -m benchmarks.fuzz` draws many more, and goes on from what it was answered.
"""

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings

from tests.rest.fuzzing import document, stocked
from tests.rest.test_schema import OPERATIONS

pytestmark = pytest.mark.django_db
QUICK = settings(
    max_examples=8,  # requests to each operation
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def requests_in_one_transaction(settings, monkeypatch):
    """Throttle nobody, and keep the test's transaction when a request begins and ends."""
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES)
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)


def test_every_operation_answers_what_it_documents(own_files, requests_in_one_transaction, subtests):
    schema = document(stocked())
    for method, path in OPERATIONS:
        with subtests.test(method=method, path=path), transaction.atomic():
            _draw(schema[path][method])
            transaction.set_rollback(True)  # each finds everything that is there


def _draw(operation):
    @QUICK
    @given(case=operation.as_strategy())
    def every(case):
        case.call_and_validate()

    every()
