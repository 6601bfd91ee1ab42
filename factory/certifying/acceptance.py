"""Measure what was bought on texts of the buyer's, as its certificate says that it was measured.

Only texts of which the certificate speaks count: long enough for the context, one of those that are nearly the same,
and inside the calibrated distribution, outside of which a hand-over is refused anyway. So a certificate is neither
contradicted by noise nor by one text under several names.
"""

from factory.certifying.examination import Examined
from factory.corpora import Document
from factory.corpora.documents import digest_of
from factory.corpora.duplicates import near_duplicates
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.measurement.arms import judged
from factory.measurement.evaluation import exchanged
from factory.measurement.instrument import ARMS
from factory.measurement.journal import Journal
from factory.measurement.suite import measure, reader
from factory.session import FactorySession
from kvcache.exchange.mapping import open_w_matrix
from latentmas.protocol.commitments import commitment
from latentmas.protocol.errors import ModelNotSupported
from latentmas.protocol.expected import retention_in
from latentmas.protocol.quality import Interval, TokenMode
from marketplace.claims.acceptance_aggregate import Figures
from marketplace.claims.acceptance_events import Kept
from marketplace.claims.acceptance_texts import LEAST_TEXTS
from marketplace.claims.errors import TextsTooFew
from marketplace.claims.measuring import Order
from marketplace.claims.promises import decimal

REGISTER = "acceptance"


def measured_on(order: Order, examined: Examined, session: FactorySession) -> Figures:
    """Return the pooled retention of a file on the order's texts, in the mode and at the length of its certificate.

    Raises ModelNotSupported where the file's models do not run here with its weights, TextsTooFew, or InvalidInput
    where the contexts do not help the target.
    """
    document = examined.w_matrix.document
    if not examined.runs:
        raise ModelNotSupported(
            f"{document.source_model} and {document.target_model} do not both run here with the weights of the file"
        )
    cell = _cell(_countable(order, examined, session), order.promise.length)
    found = measure(
        judged(examined.w_matrix),
        EvaluationSuite(REGISTER, commitment([each.digest for each in cell.documents], salt=""), (cell,)),
        source=session.model(document.source_model),
        target=session.model(document.target_model),
        journal=Journal(),  # nothing of a buyer's texts is left on disk
        progress=session.stage("score the buyer's texts"),
    )
    (figures,) = found.figures.cells
    kept = retention_in(figures, TokenMode(order.promise.mode))
    if kept is None:
        raise TextsTooFew(_too_few(figures.documents, order), field="texts")
    return Figures(_recorded(kept), figures.documents, figures.scored_tokens, ARMS)


def _countable(order: Order, examined: Examined, session: FactorySession) -> list[Document]:
    """Return the texts of which the certificate speaks. Raises TextsTooFew."""
    document = examined.w_matrix.document
    read = reader(session.model(document.source_model), session.model(document.target_model))
    opened = open_w_matrix(examined.w_matrix)
    distinct = _distinct(order.texts)
    counted = []
    for each in distinct:
        passage = read(each, order.promise.length)
        if passage is not None and exchanged(passage, opened).quality.inside is not False:
            counted.append(each)
    if len(counted) < LEAST_TEXTS:
        raise TextsTooFew(_too_few(len(counted), order), field="texts")
    return counted


def _distinct(texts: tuple[str, ...]) -> list[Document]:
    """Return one of each group of near duplicates, in the order of their digests."""
    known = {digest_of(text): text for text in texts}
    again = {digest for group in near_duplicates(known) for digest in group[1:]}
    return [Document(known[digest], digest) for digest in sorted(known) if digest not in again]


def _cell(documents: list[Document], length: int) -> SuiteCell:
    return SuiteCell(REGISTER, length, lambda: tuple(documents), len(documents), wanted=LEAST_TEXTS)


def _too_few(counted: int, order: Order) -> str:
    return (
        f"{counted} of {len(order.texts)} texts differ from each other, lie inside the calibrated distribution and are "
        f"long enough for {order.promise.length} tokens of context; at least {LEAST_TEXTS} are needed"
    )


def _recorded(kept: Interval) -> Kept:
    return Kept(decimal(kept.value), decimal(kept.low), decimal(kept.high))
