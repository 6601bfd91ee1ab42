"""On another machine the same file, weights, suite and code give the figures that the card names."""

import base64
import json
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command

from factory.certifying.draws import commitment_of
from factory.models import PrivateDraw
from latentmas import blobs
from latentmas.events.models import Event
from latentmas.events.types import Metadata
from latentmas.protocol.card import Card
from latentmas.protocol.commitments import commitment
from marketplace.agents.commands import Profile, register_agent, register_key
from marketplace.certification.errors import RecertificationSignatureInvalid
from marketplace.certification.inputs import submission_from
from marketplace.certification.models import Rotation
from marketplace.certification.signing import require_signed
from marketplace.listings.models import ListingVersion
from tests.factory.certifying.conftest import SOURCE, TARGET, certified, public_suite

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("certifier")]
METADATA = Metadata(actor="test")
COMMAND = "factory.management.commands.recertify"


@pytest.fixture
def card(client, publish, honest, tmp_path) -> Path:
    """The card of a version that the certifier has measured, as anybody downloads it."""
    identifier = publish(honest)
    assert certified(identifier).result["tier"] == "bronze"
    path = tmp_path / "card.json"
    path.write_bytes(client.get(f"/api/w-matrices/{identifier}/versions/1.0.0/manifest").content)
    return path


@pytest.fixture
def recertify(card, folders, texts, tmp_path, monkeypatch):
    """Runs the command, which knows nothing but the card, the file, and where the weights and the corpus lie."""
    monkeypatch.setattr(f"{COMMAND}.load_suite", lambda name: public_suite(texts))
    monkeypatch.setattr(f"{COMMAND}.load_corpus", lambda location: texts)
    file = blobs.local_path(ListingVersion.objects.get().file_digest)

    def run(path: Path = card, **options) -> dict:
        weights = [f"{name}={folders[name]}" for name in (SOURCE, TARGET)]
        submission = tmp_path / "submission.json"
        arguments = {"weights": weights, "corpus": "corpus.txt", "submission": submission, "stdout": StringIO()}
        call_command("recertify", path, file, **arguments | options)
        return json.loads(submission.read_text())

    return run


def changed(card: Path, change) -> Path:
    document = json.loads(card.read_text())
    change(document)
    path = card.with_name("changed.json")
    path.write_text(json.dumps(document))
    return path


def test_the_figures_are_the_same(card, recertify):
    named = msgspec.json.decode(card.read_bytes(), type=Card)
    found = recertify()
    (certifier,) = named.quality.suite.cells
    (cell,) = found["cells"]
    assert (cell["register"], cell["length"]) == (certifier.register, certifier.length)
    for end in ("value", "low", "high"):  # on record they have four digits
        assert cell["retention"][end] == pytest.approx(getattr(certifier.aligned, end), abs=6e-5)
    assert found["file"] == named.file.digest
    assert msgspec.convert(found["instrument"], type(named.measurement.instrument)) == named.measurement.instrument


def test_the_submission_is_signed_by_the_agents_key(recertify, alice, tmp_path):
    """What the command signs is what the server checks, whose figures have been through JSON."""
    agent = register_agent(alice, Profile("checkers", "The checkers", ""), metadata=METADATA)
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    public_key = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    register_key(agent.id, public_key=public_key, metadata=METADATA)
    (tmp_path / "key").write_text("01" * 32)
    body = recertify(agent=agent.id, key=tmp_path / "key")
    require_signed(submission_from(body, version="1.0.0", validator=agent.id))
    with pytest.raises(RecertificationSignatureInvalid):
        require_signed(submission_from(body, version="1.0.1", validator=agent.id))


def test_a_key_needs_an_agent_and_must_be_one(recertify, tmp_path):
    (tmp_path / "key").write_text("none")
    with pytest.raises(CommandError, match="go together"):
        recertify(key=tmp_path / "key")
    with pytest.raises(CommandError, match="holds no key"):
        recertify(key=tmp_path / "key", agent="somebody")


def test_it_measures_and_does_not_read_what_was_scored_before(recertify, monkeypatch):
    def never(*_arguments, **_options):
        raise AssertionError("it scored")

    monkeypatch.setattr("factory.measurement.suite.scored", never)
    with pytest.raises(AssertionError, match="it scored"):
        recertify()


def test_a_figure_outside_the_interval_is_said(card, recertify):
    def inflate(document):
        for each in document["quality"]["suite"]["cells"]:
            each["aligned"] = {"value": 1.5, "low": 1.4, "high": 1.6}

    with pytest.raises(CommandError, match="outside the certifier's interval"):
        recertify(changed(card, inflate))


NAMED = {
    "file": ("file", "digest"),
    "source_weights": ("source", "weights"),
    "target_weights": ("target", "weights"),
    "suite": ("quality", "suite", "digest"),
    "corpus": ("quality", "corpus", "digest"),
    "arms/3": ("measurement", "instrument", "code"),
}


def test_what_is_not_what_the_card_names_is_not_measured(card, recertify):
    for said, (*way, last) in NAMED.items():

        def forge(document, way=way, last=last):
            for name in way:
                document = document[name]
            document[last] = "sha256:" + "9" * 64

        with pytest.raises(CommandError, match=said):
            recertify(changed(card, forge))


def test_what_is_no_card_is_refused(card, recertify, tmp_path):
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(CommandError, match="is no card"):
        recertify(tmp_path / "none.json")
    with pytest.raises(CommandError, match="MODEL=PLACE"):
        recertify(weights=["somewhere"])
    with pytest.raises(CommandError, match="names no measurement"):
        recertify(changed(card, lambda document: document.update(measurement=None)))


def test_the_end_of_a_rotation_publishes_what_was_committed_to(client, card):
    drawn = PrivateDraw.objects.get()
    committed = ListingVersion.objects.get().measurement["private"]["commitment"]
    out = StringIO()
    call_command("rotate_private_cells", stdout=out)
    assert "Rotation 1 is published" in out.getvalue()
    document = json.loads(b"".join(client.get("/api/private-cells/1/file")))
    (entry,) = document["draws"]
    texts = {
        register: [commitment(document["texts"][digest], salt=entry["salt"]) for digest in digests]
        for register, digests in entry["texts"].items()
    }
    assert commitment({"seed": entry["seed"], "texts": texts}, salt=entry["salt"]) == committed == entry["commitment"]
    assert committed == commitment_of(drawn)
    assert not PrivateDraw.objects.exists()
    assert [(row.number, row.published_at is None) for row in Rotation.objects.all()] == [(2, True), (1, False)]
    assert Event.objects.filter(type="private_cells.opened").count() == 2
