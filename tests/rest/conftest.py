"""Requests of every kind, none of which runs a model."""

import pytest

from tests.marketplace.artefacts.encoder import Encoder


@pytest.fixture(autouse=True)
def _encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketplace.artefacts.segments.sentence_encoder", Encoder)
