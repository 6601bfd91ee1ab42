"""Checks on listings and versions before they become events; InvalidInput names the field at fault."""

import math
import re
from dataclasses import fields

from latentmas.blobs import DIGEST
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money, check_currency
from latentmas.protocol.quality import MEASURED, Basis, Cell, Interval, Quality, Retrieval, SuiteFigures
from latentmas.protocol.w_matrix import STANDARDS, Method
from marketplace.listings.events.listing import ListingCreated, StoredFile, VersionPublished
from marketplace.texts.checks import DESCRIPTION_CHARACTERS, TITLE_CHARACTERS, check_length, check_text

METHODS = tuple(method.value for method in Method)
MAX_PRICE = 10**12  # minor units
STATEMENT_CHARACTERS = 2000
MODEL_CHARACTERS = 100
SELLER_CHARACTERS = 100
TAG_CHARACTERS = 40
TAGS = 20
TAG = re.compile(r"[\w][\w .:/+#-]*")  # no markup: a tag is shown on pages, in feeds and in file names
ROUNDING = 1e-6  # figures may have been rounded to this before they were recorded


def check_listing(listing: ListingCreated) -> None:
    check_text(listing.title.plain or "", "title", TITLE_CHARACTERS)
    check_text(listing.seller, "seller", SELLER_CHARACTERS)
    check_text(listing.source_model, "source_model", MODEL_CHARACTERS)
    check_text(listing.target_model, "target_model", MODEL_CHARACTERS)
    check_length(listing.description.plain or "", "description", DESCRIPTION_CHARACTERS)
    if listing.statement is not None:
        check_text(listing.statement.plain or "", "seller_statement", STATEMENT_CHARACTERS)
    if listing.source_model == listing.target_model:
        raise InvalidInput(f"source and target are the same model, {listing.source_model!r}", field="target_model")
    check_price(listing.price)
    for licence in listing.licences:
        if licence.url is not None and not licence.url.startswith(("https://", "http://")):
            raise InvalidInput(f"{licence.url!r} is not a web address", field="licences")
    if len(listing.tags) > TAGS:
        raise InvalidInput(f"a listing has at most {TAGS} tags", field="tags")
    for tag in listing.tags:
        check_text(tag, "tags", TAG_CHARACTERS)
        if TAG.fullmatch(tag) is None:
            raise InvalidInput(
                f"the tag {tag!r} holds more than letters, digits, spaces and . : / + # - _", field="tags"
            )


def check_price(price: Money) -> None:
    if not 0 <= price.amount <= MAX_PRICE:
        raise InvalidInput(
            f"the price is {price.amount}; it must be between 0 and {MAX_PRICE} minor units", field="price"
        )
    check_currency(price.currency, "price")


def check_publication(published: VersionPublished) -> None:
    if published.method not in METHODS:
        raise InvalidInput(f"{published.method!r} is not a method; use one of {', '.join(METHODS)}", field="method")
    if published.standard not in STANDARDS:
        raise InvalidInput(f"{published.standard} is not a standard; use 4096, 8192 or 16384", field="standard")
    for name in ("source_dimension", "unified_dimension", "target_dimension"):
        if getattr(published, name) < 1:
            raise InvalidInput(f"{name} must be positive", field=name)
    if published.unified_dimension > published.standard:
        raise InvalidInput(
            f"the unified dimension {published.unified_dimension} is above the declared standard {published.standard}",
            field="unified_dimension",
        )
    for name in ("source_weights", "target_weights"):
        if (digest := getattr(published, name)) is not None:
            check_digest(digest, name)
    check_file(published.file, "file")
    if published.report is not None:
        check_file(published.report, "report")
    if published.quality.basis in MEASURED or published.measured_first:
        raise InvalidInput(
            f"a publisher's figures are declared or simulated, not {published.quality.basis.value}: only the certifier "
            "measures",
            resolution="Publish them as declared; the certifier then measures the file.",
            field="quality.basis",
        )
    check_quality(published.quality)


def check_quality(quality: Quality) -> None:
    """Refuse figures that contradict each other; a measurement is never completed here."""
    if not 0 <= quality.epsilon <= 1:
        raise InvalidInput(f"epsilon is {quality.epsilon}; it lies between 0 and 1", field="quality.epsilon")
    given = [name for name in ("retention", "retrieval") if getattr(quality, name) is not None]
    if len(given) != (quality.basis is Basis.FUNCTIONAL):
        raise InvalidInput(
            "a retention, or a retrieval for embeddings, is given exactly when the basis is functional; "
            f"the basis is {quality.basis.value} and given is {' and '.join(given) or 'neither'}",
            field="quality.retention",
        )
    optional = [quality.cosine_similarity, quality.euclidean_distance]
    stated = [figure for figure in optional if figure is not None]
    if quality.basis in MEASURED and len(stated) < len(optional):
        raise InvalidInput("a measurement has its cosine similarity and its distance", field="quality")
    if not all(map(math.isfinite, (quality.information_retention, *stated))):
        raise InvalidInput("a quality figure is not a finite number", field="quality")
    if quality.retention is not None:
        _check_loss(quality, quality.retention.aligned, "retention")
    if quality.suite is not None:
        _check_suite(quality, quality.suite)
    if quality.retrieval is not None:
        _check_loss(quality, quality.retrieval.top1, "retrieval")
        _check_retrieval(quality.retrieval)


def _check_suite(quality: Quality, suite: SuiteFigures) -> None:
    if quality.retention is None:
        raise InvalidInput("figures of an evaluation suite need a retention beside them", field="quality.suite")
    if DIGEST.fullmatch(suite.digest) is None:
        raise InvalidInput(
            f"{suite.digest!r} is not a digest of the suite {suite.name!r}", field="quality.suite.digest"
        )
    places = [(cell.register, cell.length) for cell in suite.cells]
    if twice := sorted({place for place in places if places.count(place) > 1}):
        register, length = twice[0]
        raise InvalidInput(f"there are two cells of {register} at {length} tokens", field="quality.suite.cells")
    for cell in suite.cells:
        _check_cell(cell)


def _check_cell(cell: Cell) -> None:
    where = f"{cell.register} at {cell.length} tokens"
    if cell.length < 1 or not cell.register.strip():
        raise InvalidInput(f"{where!r} is not a cell of a suite", field="quality.suite.cells")
    for name in (field.name for field in fields(cell)):
        figure = getattr(cell, name)
        if isinstance(figure, Interval) and not _is_interval(figure):
            raise InvalidInput(
                f"{name} of {where} is {figure.value} [{figure.low}, {figure.high}]; it must be a finite figure with "
                "the lower end first",
                field="quality.suite.cells",
            )


def _is_interval(figure: Interval) -> bool:
    return all(map(math.isfinite, (figure.value, figure.low, figure.high))) and figure.low <= figure.high


def _check_loss(quality: Quality, figure: Interval, name: str) -> None:
    if not figure.low <= figure.high:
        raise InvalidInput("the interval's lower end is above its upper end", field=f"quality.{name}")
    loss = min(1.0, max(0.0, 1 - figure.value))
    if not math.isclose(quality.epsilon, loss, abs_tol=ROUNDING):
        raise InvalidInput(f"epsilon is not 1 - {name}, clamped to [0, 1]", field="quality.epsilon")


def _check_retrieval(retrieval: Retrieval) -> None:
    shares = (retrieval.top1.value, retrieval.top5.value, retrieval.random_w_top1.value)
    if not all(0 <= share <= 1 for share in shares) or retrieval.top5.value < retrieval.top1.value:
        raise InvalidInput("the shares of a retrieval lie in [0, 1], and top-5 holds top-1", field="quality.retrieval")
    if retrieval.candidates < 2 or not math.isclose(retrieval.chance, 1 / retrieval.candidates, abs_tol=ROUNDING):
        raise InvalidInput("chance is not 1 / candidates, of at least 2", field="quality.retrieval.chance")


def check_digest(digest: str, field: str) -> None:
    if DIGEST.fullmatch(digest) is None:
        raise InvalidInput(f"{digest!r} is not a digest; write sha256: and 64 hex digits", field=field)


def check_file(file: StoredFile, field: str) -> None:
    check_digest(file.digest, field)
    if file.size < 1:
        raise InvalidInput(f"the {field} is empty", field=field)
