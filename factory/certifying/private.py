"""The certifier's private texts: the operator's own, and what the target itself writes from a seed drawn for one file.

A file that was made for the public suite keeps less of these. They are drawn after the file's digest is on record, stay
in an ordinary table while their rotation lasts, and are published when it ends; a measurement commits to them before.
"""

import secrets
from collections.abc import Mapping

from django.conf import settings

from factory.certifying.draws import commitment_of
from factory.corpora import Document, load_corpus
from factory.corpora.documents import digest_of
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.measurement.arms import judged
from factory.measurement.journal import Journal
from factory.measurement.passages import CONTINUATION_TOKENS
from factory.measurement.suite import measure
from factory.models import PrivateDraw
from factory.runners.model import RunningModel
from factory.runners.sampling import sampled
from factory.session import FactorySession
from latentmas.protocol.certification import earned_scope, failures_of
from latentmas.protocol.commitments import new_salt
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.expected import retention_in
from latentmas.protocol.quality import Cell, PrivateCells, SuiteFigures, TokenMode
from latentmas.protocol.tensors import Array
from latentmas.protocol.w_matrix import WMatrix

OPERATORS, WRITTEN = "private", "private, written by the target"  # registers
DRAWN, WANTED = 16, 12  # texts of each; more are drawn than wanted, since some turn out too short
MARGIN_TOKENS = 32  # a text that is decoded and read again may have fewer tokens
SEED_BITS = 63
NUL = "\x00"


def draw(file: str, *, rotation: int, target: RunningModel, length: int) -> PrivateDraw:
    """Return the texts that a file is measured on in a rotation, drawn now unless they were before.

    `length` is the tokens of context that each must have. Raises what `operators_texts` does.
    """
    fresh = {"seed": secrets.randbits(SEED_BITS), "salt": new_salt()}
    drawn, _ = PrivateDraw.objects.get_or_create(rotation=rotation, file=file, defaults=fresh)
    if drawn.texts is None:
        tokens = length + CONTINUATION_TOKENS + MARGIN_TOKENS
        written = sampled(target, texts=DRAWN, tokens=tokens, seed=drawn.seed)
        drawn.texts = {WRITTEN: [text.replace(NUL, "") for text in written]}  # PostgreSQL stores none
        if settings.PRIVATE_TEXTS:
            drawn.texts[OPERATORS] = operators_texts(target, length=length)
        drawn.save()
    return drawn


def operators_texts(target: RunningModel, *, length: int) -> list[str]:
    """Return the first of the operator's texts that give a context of so many tokens; none where he has no folder.

    Raises InvalidInput for a folder without enough of them: better before hours of measuring than after.
    """
    if not settings.PRIVATE_TEXTS:
        return []
    documents = load_corpus(settings.PRIVATE_TEXTS).documents
    needed = length + CONTINUATION_TOKENS
    found = [each.text for each in documents if len(target.encode(each.text).ids) >= needed]
    if len(found) < WANTED:
        raise InvalidInput(
            f"{len(found)} of the {len(documents)} private texts have the {needed} tokens that are needed of "
            f"{target.name}; {WANTED} must have them",
            resolution="Put longer texts, or more of them, into the folder PRIVATE_TEXTS.",
            field="private",
        )
    return found[:DRAWN]


def measure_privately(
    file: str,
    w_matrix: WMatrix,
    public: SuiteFigures,
    *,
    control: Mapping[str, Array],
    session: FactorySession,
    rotation: int,
) -> PrivateCells:
    """Measure a file whose digest is on record on the private texts of a rotation.

    `public` is what it keeps on the public suite, `control` the map of the target's tokens alone. Raises InvalidInput
    where too few of them are long enough.
    """
    document = w_matrix.document
    source, target = session.model(document.source_model), session.model(document.target_model)
    length = min(public.lengths)
    drawing = session.stage("draw private texts")
    drawing(0, 1)
    drawn = draw(file, rotation=rotation, target=target, length=length)
    drawing(1, 1)
    figures = measure(
        judged(w_matrix, tokens_only=control),
        suite_of(drawn, length=length),
        source=source,
        target=target,
        journal=Journal(),  # nothing of private texts is left on disk
        progress=session.stage("score private texts"),
    ).figures
    return PrivateCells(rotation, passes(figures, public), commitment_of(drawn))


def suite_of(drawn: PrivateDraw, *, length: int) -> EvaluationSuite:
    """Return the texts as a suite of one length."""
    assert drawn.texts is not None
    cells = tuple(_cell(register, texts, length) for register, texts in sorted(drawn.texts.items()))
    return EvaluationSuite(f"private/{drawn.rotation}", commitment_of(drawn), cells)


def passes(private: SuiteFigures, public: SuiteFigures) -> bool:
    """Return whether a file keeps of the private texts what its public figures promise.

    On the operator's texts it must clear the bars of any register, and reach what the certificate states of the worst
    one; on text that the target wrote itself, which needs little memory, it must beat another document's memory. Raises
    InvalidInput where too few texts were long enough.
    """
    if short := [cell.register for cell in private.cells if cell.aligned is None]:
        raise InvalidInput(f"too few texts of {' and '.join(short)} are long enough to measure on", field="private")
    scope = earned_scope(public)
    if not scope.lengths:
        return False
    return all(_keeps(cell, TokenMode(scope.mode), promised=scope.lengths[0].low) for cell in private.cells)


def _keeps(cell: Cell, mode: TokenMode, *, promised: float) -> bool:
    kept = retention_in(cell, mode)
    assert kept is not None
    if cell.register == WRITTEN:
        return cell.wrong_document is not None and kept.low > cell.wrong_document.value
    return not failures_of(cell, mode) and kept.high >= promised


def _cell(register: str, texts: list[str], length: int) -> SuiteCell:
    documents = tuple(Document(text, digest_of(text)) for text in texts)
    return SuiteCell(register, length, lambda: documents, len(documents), wanted=min(WANTED, len(documents)))
