"""A seller publishes every kind with the client, changes what is listed, and withdraws it."""

import numpy as np
import pytest

from awareness_sdk.errors import Conflict
from latentmas import blobs
from latentmas.protocol.cropping import crop
from latentmas.protocol.long_term_memory import read_collection
from latentmas.protocol.reasoning_chain import Step, read_chain
from latentmas.protocol.vectors import read_vectors
from latentmas.rest.scopes import MEMORIES_PUBLISH, MEMORIES_READ, MEMORIES_WRITE
from marketplace.agents.commands import Profile, register_agent
from marketplace.artefacts.models import Artefact, ArtefactVersion
from tests.documented_examples import run
from tests.marketplace.artefacts.encoder import Encoder
from tests.marketplace.exchange.sample import memory
from tests.marketplace.sample import METADATA, SOURCE

pytestmark = pytest.mark.django_db(transaction=True)
MINE = {"rights": "My own words.", "invertible": True}
VECTORS = np.arange(12, dtype="f4").reshape(4, 3)


@pytest.fixture
def seller(sdk_with, alice, monkeypatch):
    monkeypatch.setattr("marketplace.artefacts.segments.sentence_encoder", Encoder)
    register_agent(alice, Profile("alice-labs", "Alice"), metadata=METADATA)
    return sdk_with(MEMORIES_READ, MEMORIES_WRITE, MEMORIES_PUBLISH)


def file_of(card, version="1.0.0"):
    row = ArtefactVersion.objects.get(artefact_id=card["id"], version=version)
    with blobs.open_blob(row.file_digest) as file:
        return file.read()


def test_the_documented_example_sells_every_kind(seller):
    given = {"client": seller, "snapshot": memory(9), "monday": memory(5), "tuesday": memory(7), "vectors": VECTORS}
    made = run("memory-market.md", "from awareness_sdk.selling import NewSegment, Step", **given)
    chain = seller.memory_on_sale(made["chain"]["id"], "reasoning-chains")
    assert [each["version"] for each in chain["versions"]] == ["1.0.1", "1.0.0"]
    assert (chain["price"]["amount"], chain["discount"]) == (600, 10)
    assert [step.text for step in read_chain(file_of(chain)).steps] == ["Assume x.", "So y."]
    notes = seller.memory_on_sale(made["notes"]["id"], "long-term-memories")
    assert notes["withheld_reason"] == "Out of date."
    assert [each.session for each in read_collection(file_of(notes, "1.1.0")).segments] == [1, 2]
    words = Artefact.objects.values("id").get(kind="embedding")
    np.testing.assert_array_equal(read_vectors(file_of(words)).array, VECTORS)


def test_latent_thoughts_parents_and_further_versions_arrive(seller):
    thoughts = np.ones((2, 8), "f4")
    first = seller.publish_memory(memory(9), title="Minutes", price=500, **MINE)
    parents = [{"artefact": first["id"], "royalty_basis_points": 500}]
    steps = [Step("So.", end=10, thoughts=thoughts)]
    chain = seller.selling.publish_reasoning_chain(
        memory(9), steps, title="A", price=5, canary=2, parents=parents, **MINE
    )
    np.testing.assert_array_equal(read_chain(file_of(chain)).steps[0].thoughts, thoughts)
    assert [each["artefact"] for each in chain["parents"]] == [first["id"]]
    second = seller.selling.publish_memory_version(first["id"], crop(memory(9), 4), version="1.1.0", **MINE)
    assert [each["version"] for each in second["versions"]] == ["1.1.0", "1.0.0"]
    words = seller.selling.publish_embeddings(VECTORS, model=SOURCE, title="W", price=5, **MINE)
    more = seller.selling.publish_embeddings_version(words["id"], VECTORS + 1, model=SOURCE, version="2.0.0", **MINE)
    assert more["versions"][0]["version"] == "2.0.0"


def test_a_change_that_comes_in_between_is_not_overwritten(seller, monkeypatch):
    card = seller.publish_memory(memory(9), title="Minutes", price=500, **MINE)
    send, begun = seller._transport.send, []

    def interrupted(method, path, **options):
        if method == "PUT" and not begun:
            begun.append(path)
            seller.selling.set_terms(card["id"], price=700)
        return send(method, path, **options)

    monkeypatch.setattr(seller._transport, "send", interrupted)
    with pytest.raises(Conflict) as refused:
        seller.selling.set_terms(card["id"], price=1)
    assert (refused.value.code, seller.memory_on_sale(card["id"])["price"]["amount"]) == ("VERSION_CONFLICT", 700)
