"""What a screening finds decides whether a version is on offer."""

import pytest

from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, NotFound
from latentmas.protocol.quality import Interval
from marketplace.artefacts.commands import record_screening
from marketplace.artefacts.models import Artefact, ArtefactVersion
from tests.marketplace.artefacts import sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def artefact(seller):
    made = sample.listed(seller)
    sample.publish(made)
    return made


def version_of(artefact, version="1.0.0"):
    return ArtefactVersion.objects.get(id=f"{artefact}/{version}")


def test_a_version_waits_for_its_screening(artefact):
    assert version_of(artefact).screening == "pending"
    assert Artefact.objects.get(id=artefact).version is None


def test_a_version_that_nothing_speaks_against_is_on_offer(artefact):
    sample.screen(artefact)
    row, found = Artefact.objects.get(id=artefact), version_of(artefact)
    assert (row.version, row.tokens, row.uniqueness) == ("1.0.0", 40, 0.8)
    assert row.retention == found.retention == {"value": 0.97, "low": 0.95, "high": 0.99}
    assert (found.screening, found.findings) == ("passed", [])


@pytest.mark.parametrize("found", [{"duplicate_of": "x/1.0.0"}, {"findings": ("A step holds a password.",)}])
def test_a_duplicate_or_a_finding_refuses_it(artefact, found):
    sample.screen(artefact, **found)
    row = version_of(artefact)
    assert (row.screening, row.duplicate_of) == ("refused", found.get("duplicate_of"))
    assert row.findings == list(found.get("findings", ()))
    assert Artefact.objects.get(id=artefact).version is None


def test_the_last_screening_counts(artefact):
    sample.screen(artefact, findings=("A step holds a password.",))
    sample.screen(artefact)
    assert version_of(artefact).screening == "passed"
    sample.screen(artefact, findings=("A step holds a password.",))
    assert Artefact.objects.get(id=artefact).version is None


def test_a_refused_version_leaves_the_one_before_on_offer(artefact):
    sample.screen(artefact)
    sample.publish(artefact, "1.1.0", tokens=50)
    sample.screen(artefact, "1.1.0", findings=("A step holds a password.",))
    assert Artefact.objects.get(id=artefact).version == "1.0.0"
    sample.screen(artefact, "1.1.0")
    row = Artefact.objects.get(id=artefact)
    assert (row.version, row.tokens) == ("1.1.0", 50)


def test_the_same_again_records_nothing(artefact):
    sample.screen(artefact)
    again = record_screening(
        artefact,
        version="1.0.0",
        uniqueness=0.8,
        duplicate_of=None,
        findings=(),
        retention=sample.RETENTION,
        metadata=Metadata("job:test"),
    )
    assert again == []


@pytest.mark.parametrize(
    "found",
    [
        {"uniqueness": 1.1},
        {"retention": Interval(0.9, 0.95, 0.8)},
        {"findings": ("",)},
        {"findings": ("x" * 301,)},
        {"findings": ("x",) * 21},
    ],
)
def test_what_a_screening_cannot_have_found_is_refused(artefact, found):
    with pytest.raises(InvalidInput):
        sample.screen(artefact, **found)
    assert version_of(artefact).screening == "pending"


def test_an_unknown_version_is_refused(artefact):
    with pytest.raises(NotFound):
        sample.screen(artefact, "9.0.0")
