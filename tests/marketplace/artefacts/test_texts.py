"""What persons write about an artefact can be erased, and a rebuild makes the same of the log."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from latentmas.events.models import Event
from latentmas.events.rebuilding import check, chosen
from marketplace.artefacts.models import Artefact, ArtefactParent, ArtefactText, ArtefactVersion
from tests.marketplace.artefacts.sample import declare, on_sale, screen

pytestmark = pytest.mark.django_db


def test_no_event_holds_what_was_written(seller):
    on_sale(seller)
    log = b"".join(bytes(body) for body in Event.objects.values_list("body", flat=True))
    for text in (b"Minutes of a meeting", b"What was agreed", b"My own."):
        assert text not in log
    assert ArtefactText.objects.count() == 3


def test_what_was_written_is_erased_for_good(seller):
    artefact, said = on_sale(seller), StringIO()
    call_command("erase_texts", "artefact", artefact, stdout=said)
    assert said.getvalue() == "3 texts erased\n"
    row = Artefact.objects.get(id=artefact)
    assert (row.title, row.description, row.version) == ("(erased)", "(erased)", "1.0.0")
    assert ArtefactVersion.objects.get(artefact_id=artefact).rights == "(erased)"
    assert not ArtefactText.objects.exists()


def test_the_log_gives_the_same_rows_page_by_page(seller):
    parent, child = on_sale(seller), on_sale(seller)
    declare(child, seller, (parent, 100))
    declare(child, seller, (parent, 200))
    screen(parent, findings=("A text holds a private key.",))
    call_command("erase_texts", "artefact", child, stdout=StringIO())
    assert ArtefactParent.objects.get().basis_points == 200
    assert check(chosen(["project_artefacts", "project_parents", "project_segments"]), page=2) == []


def test_an_unknown_artefact_has_nothing_to_erase(db):
    with pytest.raises(CommandError):
        call_command("erase_texts", "artefact", "none")
