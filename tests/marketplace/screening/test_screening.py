"""What a screening finds about versions, and what becomes of them."""

import pytest

from latentmas.events.types import Metadata
from latentmas.protocol.errors import NotFound
from latentmas.protocol.long_term_memory import Collection, SegmentText, write_collection
from latentmas.protocol.quality import Interval
from latentmas.protocol.reasoning_chain import ReasoningChain, Step, write_chain
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.vectors import write_vectors
from marketplace.artefacts.commands import withdraw
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.listings.lifecycle.commands import By
from marketplace.sales.goods import Kind
from marketplace.screening.models import StoredFingerprint
from marketplace.screening.rebuilding import rebuild
from marketplace.screening.screening import record_retention, screen
from marketplace.texts.free_text import FreeText
from tests.marketplace.artefacts.sample import screen as recorded
from tests.marketplace.sample import METADATA, SOURCE
from tests.marketplace.screening.sample import file_of, memory, publish, published

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registry")]
BY = Metadata("job:test")
SECRET = "Ask ada@engine.org for the rest."


def version_of(artefact_id, version="1.0.0"):
    return ArtefactVersion.objects.get(id=f"{artefact_id}/{version}")


def screened(seller, data, **known):
    """Publish and screen a memory with this file; return its artefact's id and what was found."""
    artefact_id = published(seller, data, **known)
    return artefact_id, screen(artefact_id, version="1.0.0", metadata=BY)


def changed(snapshot, *, after):
    """Return the memory with another one's entries from some token on."""
    stranger = memory(9, tokens=snapshot.frame.tokens - 1)
    keys, values = snapshot.keys.copy(), snapshot.values.copy()
    keys[:, after:], values[:, after:] = stranger.keys[:, after:], stranger.values[:, after:]
    return KVSnapshot(snapshot.frame, keys, values)


def test_a_memory_like_no_other_is_unique_and_on_offer(seller):
    artefact_id, found = screened(seller, file_of(memory()))
    assert (found.uniqueness, found.duplicate_of, found.findings) == (1.0, None, ())
    row = Artefact.objects.get(id=artefact_id)
    assert (row.version, row.uniqueness, row.retention) == ("1.0.0", 1.0, None)


def test_anothers_very_file_is_refused(seller, other_seller):
    first, _ = screened(seller, file_of(memory()))
    second, found = screened(other_seller, file_of(memory()))
    assert (found.duplicate_of, found.uniqueness) == (f"{first}/1.0.0", 0.0)
    assert version_of(second).screening == "refused"
    assert Artefact.objects.get(id=second).version is None


def test_anothers_contents_are_refused_whatever_their_file(seller, other_seller):
    first, _ = screened(seller, file_of(memory()))
    _, found = screened(other_seller, file_of(memory(ids=False)))
    assert found.duplicate_of == f"{first}/1.0.0"


def test_who_sells_his_own_memory_again_is_told_that_it_is_not_unique(seller):
    screened(seller, file_of(memory()))
    again, found = screened(seller, file_of(memory(ids=False)))
    assert (found.uniqueness, found.duplicate_of) == (0.0, None)
    assert version_of(again).screening == "passed"


def test_an_earlier_version_of_the_same_artefact_is_no_other_memory(seller):
    artefact_id, _ = screened(seller, file_of(memory()))
    publish(artefact_id, file_of(memory(ids=False)), "1.1.0")
    assert screen(artefact_id, version="1.1.0", metadata=BY).uniqueness == 1.0


def test_a_memory_that_shares_a_part_is_so_much_less_unique(seller, other_seller):
    screened(seller, file_of(memory(tokens=60)))
    _, found = screened(other_seller, file_of(changed(memory(tokens=60, ids=False), after=31)))
    assert 0.5 < found.uniqueness < 0.85  # half of 57 grams, of 85 in both: a third
    assert found.duplicate_of is None


@pytest.mark.parametrize("end", ["withdrawn", "refused"])
def test_what_is_not_on_sale_any_more_is_not_compared(seller, other_seller, end):
    first, _ = screened(seller, file_of(memory()))
    if end == "withdrawn":
        withdraw(first, reason="No longer true.", by=By(None, METADATA))
    else:
        recorded(first, findings=("the title seems to hold a secret",))
    _, found = screened(other_seller, file_of(memory()))
    assert (found.uniqueness, found.duplicate_of) == (1.0, None)


def test_what_waits_for_its_own_screening_counts_as_soon_as_it_is_entered(seller, other_seller):
    first, _ = screened(seller, file_of(memory()))
    ArtefactVersion.objects.update(screening="pending")  # as if the process had died before recording
    _, found = screened(other_seller, file_of(memory()))
    assert found.duplicate_of == f"{first}/1.0.0"
    assert screen(first, version="1.0.0", metadata=BY).duplicate_of is None


@pytest.mark.parametrize("place", ["title", "description"])
def test_personal_data_on_a_card_refuses_the_version(seller, place):
    artefact_id, found = screened(seller, file_of(memory()), **{place: FreeText(SECRET)})
    assert found.findings == (f"the {place} seems to hold an e-mail address, 4 characters in",)
    assert version_of(artefact_id).screening == "refused"


def test_so_does_a_rights_statement(seller):
    artefact_id = published(seller, file_of(memory()))
    publish(artefact_id, file_of(memory(1)), "1.1.0", rights=SECRET)
    found = screen(artefact_id, version="1.1.0", metadata=BY)
    assert found.findings == ("the rights statement seems to hold an e-mail address, 4 characters in",)


def test_the_steps_of_a_chain_are_read_and_its_memory_is_compared(seller, other_seller):
    first, _ = screened(seller, file_of(memory()))
    chain = ReasoningChain((Step("It is so.", 5), Step(SECRET, 13)), file_of(memory(ids=False)))
    _, found = screened(other_seller, write_chain(chain), kind=Kind.REASONING_CHAIN)
    assert found.findings == ("the step 2 seems to hold an e-mail address, 4 characters in",)
    assert found.duplicate_of == f"{first}/1.0.0"


def test_the_segments_of_a_long_term_memory_are_read_and_compared(seller, other_seller):
    from latentmas import blobs

    first, _ = screened(seller, file_of(memory(0)))
    files = [blobs.put_bytes(file_of(memory(seed))) for seed in (0, 1)]
    segments = tuple(
        SegmentText(f"s{place}", 1, 13, digest, text)
        for place, (digest, text) in enumerate(zip(files, ("Harmless.", SECRET), strict=True))
    )
    collection = Collection(SOURCE, "all-minilm-l6-v2", "sha256:" + "b" * 64, segments, memory().values[0, :2, 0])
    _, found = screened(other_seller, write_collection(collection), kind=Kind.LONG_TERM_MEMORY)
    assert found.findings == ("the segment 2 seems to hold an e-mail address, 4 characters in",)
    assert 0.3 < found.uniqueness < 0.7  # one of two segments
    assert found.duplicate_of is None
    assert first


def test_embeddings_are_compared_by_their_file_alone(seller, other_seller):
    data = write_vectors(memory().values[0, :, 0])
    first, found = screened(seller, data, kind=Kind.EMBEDDING)
    assert (found.uniqueness, found.passed) == (None, True)
    _, again = screened(other_seller, data, kind=Kind.EMBEDDING)
    assert (again.uniqueness, again.duplicate_of) == (None, f"{first}/1.0.0")


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(seller):
    artefact_id, found = screened(seller, b"no memory at all, whatever its card says")
    assert found.findings[0].startswith("the file cannot be read: ")
    assert version_of(artefact_id).screening == "refused"
    assert not StoredFingerprint.objects.exists()


def test_a_retention_that_was_measured_outlives_another_screening(seller):
    artefact_id, _ = screened(seller, file_of(memory()))
    kept = Interval(0.97, 0.95, 0.99)
    record_retention(artefact_id, version="1.0.0", retention=kept, metadata=BY)
    screen(artefact_id, version="1.0.0", metadata=BY)
    row = Artefact.objects.get(id=artefact_id)
    assert (row.retention, row.uniqueness) == ({"value": 0.97, "low": 0.95, "high": 0.99}, 1.0)


def test_an_unknown_version_is_not_found(seller):
    artefact_id = published(seller, file_of(memory()))
    with pytest.raises(NotFound, match=r"no version 9\.9\.9"):
        screen(artefact_id, version="9.9.9", metadata=BY)


def test_after_a_change_of_the_secret_key_all_fingerprints_are_made_anew(seller, other_seller, settings):
    first, _ = screened(seller, file_of(memory()))
    gone, _ = screened(seller, file_of(memory(1)))
    withdraw(gone, reason="No longer true.", by=By(None, METADATA))
    unreadable = published(other_seller, b"nothing")
    before = bytes(StoredFingerprint.objects.get(artefact_id=first).tokens)
    settings.SECRET_KEY = "another key altogether"
    assert rebuild() == (1, [f"{unreadable}/1.0.0"])
    (row,) = StoredFingerprint.objects.all()
    assert row.artefact_id == first
    assert bytes(row.tokens) != before
    _, found = screened(other_seller, file_of(memory()))
    assert found.duplicate_of == f"{first}/1.0.0"
