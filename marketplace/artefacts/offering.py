"""What a version costs, and which deliveries of it there are: everything that a quote needs."""

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.money import Money
from latentmas.registry.queries import get_model
from marketplace.artefacts.errors import StepUnknown
from marketplace.artefacts.lineage import royalties_of
from marketplace.artefacts.models import Artefact, ArtefactVersion
from marketplace.artefacts.ways import way_of
from marketplace.listings.lifecycle_state import DEFAULT_SPLIT
from marketplace.pricing.formula import TIER_FACTORS
from marketplace.sales.goods import Delivery, Form, Kind, Offer, PriceFactors


def offer_of(row: Artefact, version: ArtefactVersion, delivery: Delivery) -> Offer:
    """Return a version as it is on sale for one delivery.

    Raises InvalidInput for a delivery that there is not, StepUnknown, WMatrixNotFound or ModelNotSupported.
    """
    kind = Kind(row.kind)
    tokens = tokens_of(version, kind, delivery)
    _check_form(version, kind, delivery)
    way = way_of(version, kind, delivery, tokens=tokens)  # refuses what none leads to, before anybody pays for it
    return Offer(
        kind=kind,
        item=row.id,
        version=version.version,
        digest=version.file_digest,
        seller=row.seller,
        price=Money(row.price_amount, row.price_currency),
        split=DEFAULT_SPLIT,
        validators=(),
        factors=None if kind is Kind.EMBEDDING else _factors(row, version, tokens),
        royalties=royalties_of(row.id),
        floor=row.floor,
        discount=row.discount,
        mode=None if way is None else way.mode,
    )


def tokens_of(version: ArtefactVersion, kind: Kind, delivery: Delivery) -> int:
    """Return how many tokens a delivery has at most. Raises StepUnknown or InvalidInput."""
    tokens: int = version.contents["tokens"]
    if kind is Kind.REASONING_CHAIN and delivery.after_step is not None:
        steps: list[int] = version.contents["steps"]
        if not 1 <= delivery.after_step <= len(steps):
            raise StepUnknown(
                f"there is no step {delivery.after_step} in a chain of {len(steps)}", field="delivery.after_step"
            )
        return steps[delivery.after_step - 1]
    if kind is Kind.LONG_TERM_MEMORY and delivery.token_budget is not None:
        if delivery.token_budget < 1:
            raise InvalidInput("a budget has at least one token", field="delivery.token_budget")
        return min(tokens, delivery.token_budget)
    return tokens


def is_last_step(version: ArtefactVersion, delivery: Delivery) -> bool:
    """Return whether a delivery of a chain has all of its steps."""
    return delivery.after_step in (None, version.contents["parts"])


def _factors(row: Artefact, version: ArtefactVersion, tokens: int) -> PriceFactors:
    tier = get_model(row.model).price_tier
    quality = None if version.retention is None else min(1.0, max(0.0, version.retention["value"]))
    return PriceFactors(
        tokens=tokens,
        tier=TIER_FACTORS.get(tier or "", 0.0),
        quality=quality,
        uniqueness=version.uniqueness or 0.0,  # nothing to compare by adds nothing to the price
    )


def _check_form(version: ArtefactVersion, kind: Kind, delivery: Delivery) -> None:
    if delivery.form is Form.COMPRESSED:
        if kind is Kind.REASONING_CHAIN and not is_last_step(version, delivery):
            raise InvalidInput(
                "the compressed file is of the whole chain; after an earlier step it is delivered raw or aligned",
                field="delivery.form",
            )
        return
    if kind is Kind.EMBEDDING:
        raise InvalidInput(
            f"a file of embeddings is delivered as it is, not {delivery.form.value}",
            resolution="Leave the form out; POST /api/latentmas/vectors/align maps vectors to another model.",
            field="delivery.form",
        )
