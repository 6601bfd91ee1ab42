"""`client.align_vector` against a running server."""

import numpy as np
import pytest
from django.contrib.auth.models import User

from awareness_sdk import AwarenessClient, AwarenessError
from latentmas.registry.data_file import load, read_entries
from latentmas.rest.scopes import VECTORS_ALIGN
from marketplace.accounts.commands import create_token
from tests.marketplace.exchange.vector_sample import mapped, vector_listing
from tests.marketplace.sample import SOURCE, TARGET

pytestmark = pytest.mark.django_db(transaction=True)
VECTORS = np.random.default_rng(3).normal(size=(2000, 6)).astype("f4")


@pytest.fixture
def vectors_client(server: str):
    load([entry for entry in read_entries() if entry.name == TARGET])
    vector_listing()
    key = create_token(User.objects.create_user("bob"), name="sdk", scopes=[VECTORS_ALIGN])[1]
    with AwarenessClient(api_key=key, base_url=server) as client:
        yield client


def test_one_vector_comes_back_with_its_quality(vectors_client):
    aligned = vectors_client.align_vector(VECTORS[0], SOURCE, TARGET)
    np.testing.assert_allclose(aligned["aligned_vector"], mapped(VECTORS[:1])[0], rtol=1e-3, atol=1e-4)
    assert aligned["alignment_quality"]["basis"] == "functional"
    assert aligned["w_matrix"]["certification"]["tier"] == "bronze"


def test_many_vectors_travel_as_a_file(vectors_client):
    aligned = vectors_client.align_vector(VECTORS, SOURCE, TARGET, protocol="LatentMAS/1.0")
    assert (aligned["protocol"], aligned["count"]) == ("LatentMAS/1.0", 2000)
    np.testing.assert_allclose(aligned["aligned_vectors"], mapped(VECTORS), rtol=1e-3, atol=1e-3)


def test_what_the_policy_rules_out_is_an_error_with_its_code(vectors_client):
    with pytest.raises(AwarenessError) as caught:
        vectors_client.align_vector(VECTORS[0], SOURCE, TARGET, minimum_quality=0.9)
    assert caught.value.code == "QUALITY_BELOW_THRESHOLD"


def test_an_array_of_another_rank_is_not_sent(vectors_client):
    with pytest.raises(ValueError, match="give"):
        vectors_client.align_vector(VECTORS[None], SOURCE, TARGET)
