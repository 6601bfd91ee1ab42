"""The rule that makes rebuilds exact: keys of projections come from events."""

import pytest
from django.db import models

from latentmas.events.checks import check_projections
from latentmas.events.projections import projector
from tests.events.sample import Noted

pytestmark = pytest.mark.store


def test_a_projection_with_an_automatic_key_is_an_error() -> None:
    assert check_projections() == []

    class Numbered(models.Model):
        id = models.BigAutoField(primary_key=True)

        class Meta:
            app_label = "sample"

    projector(writes=[Numbered], handles=[Noted])(lambda events: None)
    (error,) = check_projections()
    assert error.id == "events.E001"
    assert "sample.Numbered" in error.msg
