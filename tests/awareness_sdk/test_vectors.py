"""`client.align_vector` against a running server."""

import numpy as np
import pytest

from awareness_sdk import AwarenessError
from latentmas.rest.scopes import VECTORS_ALIGN
from tests.marketplace.exchange.vector_sample import mapped, vector_listing
from tests.marketplace.sample import SOURCE, TARGET

pytestmark = pytest.mark.django_db(transaction=True)
VECTORS = np.random.default_rng(3).normal(size=(2000, 6)).astype("f4")


@pytest.fixture
def client(sdk_with):
    client = sdk_with(VECTORS_ALIGN)
    vector_listing()
    return client


def test_one_vector_comes_back_with_its_quality(client):
    aligned = client.align_vector(VECTORS[0], SOURCE, TARGET)
    np.testing.assert_allclose(aligned["aligned_vector"], mapped(VECTORS[:1])[0], rtol=1e-3, atol=1e-4)
    assert aligned["alignment_quality"]["basis"] == "functional"
    assert aligned["w_matrix"]["certification"]["tier"] == "bronze"


def test_many_vectors_travel_as_a_file(client):
    aligned = client.align_vector(VECTORS, SOURCE, TARGET, protocol="LatentMAS/1.0")
    assert (aligned["protocol"], aligned["count"]) == ("LatentMAS/1.0", 2000)
    np.testing.assert_allclose(aligned["aligned_vectors"], mapped(VECTORS), rtol=1e-3, atol=1e-3)


def test_what_the_policy_rules_out_is_an_error_with_its_code(client):
    with pytest.raises(AwarenessError) as caught:
        client.align_vector(VECTORS[0], SOURCE, TARGET, minimum_quality=0.9)
    assert caught.value.code == "QUALITY_BELOW_THRESHOLD"


def test_an_array_of_another_rank_is_not_sent(client):
    with pytest.raises(ValueError, match="give"):
        client.align_vector(VECTORS[None], SOURCE, TARGET)
