"""Measure again, on any machine, what a version's card names, and compare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from factory.certifying.measuring import measure_publicly, require_sound
from factory.session import FactorySession
from latentmas.blobs import digest_of
from latentmas.protocol.card import Card
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Instrument, SuiteFigures
from latentmas.protocol.w_matrix import read_w_matrix
from marketplace.certification.signing import sign
from marketplace.listings.certificates.decisions import agree
from marketplace.listings.events.certification import RecertifiedCell, VersionRecertified


@dataclass(frozen=True, slots=True)
class Recertified:
    """What this machine measured on the public cells, and whether every figure lies in the certifier's interval."""

    card: Card
    suite: SuiteFigures
    cells: tuple[RecertifiedCell, ...]
    instrument: Instrument
    agrees: bool

    def submission(self, *, agent: str | None = None, key: Ed25519PrivateKey | None = None) -> dict[str, Any]:
        """Return the body of `POST .../recertify`, signed where an agent and its key are given."""
        submitted = VersionRecertified(
            version=self.card.version,
            validator=agent or "",
            file=self.card.file.digest,
            suite=self.suite.digest,
            instrument=self.instrument,
            cells=self.cells,
            agrees=self.agrees,
        )
        sent = {name: getattr(submitted, name) for name in ("file", "suite", "instrument", "cells")}
        signed = {"signature": sign(submitted, key)} if agent and key else {}
        return {name: msgspec.to_builtins(part) for name, part in sent.items()} | signed


def named_in(card: Card) -> SuiteFigures:
    """Return the suite's figures that a card names. Raises InvalidInput where it has none."""
    if card.measurement is None or card.quality.suite is None or card.quality.corpus is None:
        raise InvalidInput("the card names no measurement on an evaluation suite", field="card")
    return card.quality.suite


def recertify(card: Card, path: Path, session: FactorySession) -> Recertified:
    """Measure a W-Matrix file as the card says it was measured; nothing that was scored before is used.

    Raises InvalidInput where file, weights, suite, corpus or measuring code are not those that the card names, and
    ModelNotSupported where a model does not run here.
    """
    named = named_in(card)
    w_matrix = read_w_matrix(path)
    assert card.quality.corpus is not None  # named_in has seen it
    for what, due, came in (
        ("file", card.file.digest, digest_of(path)),
        ("source_weights", card.source.weights, session.weights(card.source.model).digest),
        ("target_weights", card.target.weights, session.weights(card.target.model).digest),
        ("suite", named.digest, session.suite.digest),
        ("corpus", card.quality.corpus.digest, session.corpus.digest),
    ):
        if came != due:
            raise InvalidInput(
                f"the card names the {what} {due}; here it is {came}", field=what, came=came, expected=due
            )
    require_sound(w_matrix, session)
    found = measure_publicly(w_matrix, session, journal=False)
    assert card.measurement is not None
    if found.instrument.code != card.measurement.instrument.code:
        raise InvalidInput(
            f"the card was measured by {card.measurement.instrument.code}; this is {found.instrument.code}",
            field="instrument",
        )
    suite = found.quality.suite
    assert suite is not None
    cells = tuple(RecertifiedCell(each.register, each.length, each.aligned) for each in suite.cells if each.aligned)
    return Recertified(card, suite, cells, found.instrument, agree(named, cells))
