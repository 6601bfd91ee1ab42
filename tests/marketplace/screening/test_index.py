import pytest

from marketplace.screening import index
from marketplace.screening.fingerprints import fingerprint_of
from marketplace.screening.models import FingerprintBand, StoredFingerprint
from tests.marketplace.screening.sample import letters, read, without_ids

pytestmark = pytest.mark.django_db
TEXT = letters(400, 1)
NEAR = TEXT[:150] + letters(60, 5) + TEXT[210:]


@pytest.fixture(scope="module")
def prints(tiny):
    """Fingerprints of a text, of one with a part changed, of the first one's values alone, and of a stranger."""
    whole = read(tiny, TEXT)
    memories = {"whole": whole, "near": read(tiny, NEAR), "values": without_ids(whole)}
    memories |= {"stranger": read(tiny, letters(400, 2))}
    return {name: fingerprint_of([each]) for name, each in memories.items()}


@pytest.fixture
def entered(prints):
    for name in ("near", "values", "stranger"):
        index.enter(name, version="1.0.0", fingerprint=prints[name])


def test_similar_memories_are_found_the_most_similar_first(entered, prints):
    found = index.matches(prints["whole"], but="whole")
    assert [each.artefact_id for each in found] == ["values", "near"]
    assert found[0].identical
    assert 0.5 < found[1].similarity < 0.9


def test_an_artefacts_own_versions_are_left_out(entered, prints):
    assert [each.artefact_id for each in index.matches(prints["whole"], but="values")] == ["near"]


def test_a_fingerprint_that_is_entered_again_replaces_the_one_before(entered, prints):
    index.enter("near", version="1.0.0", fingerprint=prints["stranger"])
    assert StoredFingerprint.objects.count() == 3
    assert [each.artefact_id for each in index.matches(prints["whole"], but="whole")] == ["values"]


def test_a_forgotten_artefact_leaves_nothing_behind(entered, prints):
    for name in ("near", "values", "stranger"):
        index.forget(name)
    assert not StoredFingerprint.objects.exists()
    assert not FingerprintBand.objects.exists()
    assert index.matches(prints["whole"], but="whole") == []


def test_fingerprints_of_another_key_are_not_compared(entered, prints):
    StoredFingerprint.objects.filter(artefact_id="values").update(key_id="another")
    assert [each.artefact_id for each in index.matches(prints["whole"], but="whole")] == ["near"]


def test_of_too_many_candidates_those_with_the_most_bands_are_compared(entered, prints, monkeypatch):
    monkeypatch.setattr(index, "CANDIDATES", 1)
    assert len(index.matches(prints["whole"], but="whole")) == 1


def test_a_look_up_takes_two_queries(entered, prints, django_assert_num_queries):
    with django_assert_num_queries(2):
        index.matches(prints["whole"], but="whole")
