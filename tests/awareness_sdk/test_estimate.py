"""`client.estimate_quality` against a running server, without an API key."""

import pytest

from awareness_sdk import AwarenessClient, AwarenessError
from tests.marketplace import sample

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(server):
    with AwarenessClient(base_url=server) as client:
        yield client


def test_an_estimate_says_what_it_rests_on(client):
    sample.make_listing(quality=sample.functional(0.866))
    found = client.estimate_quality("llama-3-8b", sample.TARGET)
    assert (found["basis"], found["known"]) == ("estimated", "almost nothing")
    assert [each["source_model"] for each in found["rests_on"]] == [sample.SOURCE]
    assert found["estimated_retention"]["low"] < found["estimated_retention"]["value"]
    assert client.estimate_quality(sample.SOURCE, sample.TARGET)["measured"]["retention"]["value"] == 0.866


def test_a_model_that_is_not_known_is_an_error_with_its_code(client):
    with pytest.raises(AwarenessError) as caught:
        client.estimate_quality("gpt-5000", sample.TARGET)
    assert caught.value.code == "MODEL_NOT_SUPPORTED"
