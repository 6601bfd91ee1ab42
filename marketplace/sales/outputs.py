"""JSON documents of quotes and sales: money in minor units, factors as decimal text."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rest_framework import serializers

from latentmas import blobs
from latentmas.protocol.factors import Term
from latentmas.protocol.quality import TokenMode
from latentmas.rest.money import MoneyOutput, shown_money
from marketplace.ledger.accounts import agent_of
from marketplace.pricing.formula import Breakdown
from marketplace.sales.deliveries import DeliveryOutput
from marketplace.sales.distribution import Recipient, Share
from marketplace.sales.models import KINDS, STATUSES, Sale
from marketplace.sales.quotes import Quoted

Json = dict[str, Any]
MODES = (TokenMode.TOKENS_KNOWN, TokenMode.SOURCE_TOKENS)


class TermOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    weight = serializers.CharField(help_text="Decimal, as the others.")
    factor = serializers.CharField()
    adds = serializers.CharField(help_text="Weight times factor.")


class BreakdownOutput(serializers.Serializer[Any]):
    base = serializers.IntegerField(help_text="What the seller asks, in minor units.")
    terms = TermOutput(many=True)
    before_discount = serializers.CharField(help_text="base * (1 + the sum of what the terms add).")
    discount = serializers.IntegerField(help_text="Per cent.")
    floor = serializers.IntegerField(allow_null=True, help_text="The seller sells for no less.")


class ShareOutput(serializers.Serializer[Any]):
    recipient = serializers.ChoiceField([each.value for each in Recipient])
    agent = serializers.CharField(allow_null=True, help_text="Null: the operator's account, or no validator's.")
    amount = serializers.IntegerField(help_text="Minor units.")
    item = serializers.CharField(allow_null=True, help_text="The ancestor or W-Matrix that earns it.")


class QuoteOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    quote = serializers.CharField(help_text="The token to send to /api/purchases, once.")
    buyer = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    item = serializers.CharField()
    version = serializers.CharField()
    digest = serializers.CharField(help_text="Of the file that the version is.")
    seller = serializers.CharField()
    price = MoneyOutput(help_text="The most that the purchase costs.")
    breakdown = BreakdownOutput(allow_null=True, help_text="Null: the seller's price as it is.")
    shares = ShareOutput(many=True, help_text="How it would be divided, without a W-Matrix that helps to deliver.")
    delivery = DeliveryOutput()
    mode = serializers.ChoiceField(
        [mode.value for mode in MODES],
        allow_null=True,
        help_text="In whose tokens it would be aligned now; null: it is not, or not the same for all segments.",
    )
    configuration = serializers.IntegerField(help_text="Version of the price configuration.")
    expires_at = serializers.DateTimeField()


class SoldFileOutput(serializers.Serializer[Any]):
    digest = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    name = serializers.CharField()
    url = serializers.CharField()


class PurchaseOutput(serializers.Serializer[Any]):
    id = serializers.CharField()
    status = serializers.ChoiceField(STATUSES)
    buyer = serializers.CharField()
    seller = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    item = serializers.CharField()
    version = serializers.CharField()
    held = MoneyOutput(help_text="The most it could cost.")
    price = MoneyOutput(allow_null=True, help_text="As settled; null before, and where it came to nothing.")
    refunded = MoneyOutput()
    shares = ShareOutput(many=True)
    configuration = serializers.IntegerField()
    void = serializers.CharField(allow_null=True, help_text="Why it came to nothing.")
    void_code = serializers.CharField(allow_null=True, help_text="Of the error that kept it from being made.")
    opened_at = serializers.DateTimeField()
    captured_at = serializers.DateTimeField(allow_null=True)
    # The buyer's side alone; null to everybody else.
    delivery = DeliveryOutput(allow_null=True)
    tokens = serializers.IntegerField(allow_null=True, help_text="Delivered, where they are counted.")
    file = SoldFileOutput(allow_null=True)
    stream_version = serializers.IntegerField(help_text="Of the sale's event stream; also its ETag.")
    url = serializers.CharField()


class PurchaseDetailOutput(PurchaseOutput):
    report = serializers.DictField(allow_null=True, help_text="What was delivered, for the buyer: quality, findings.")


class PurchasesOutput(serializers.Serializer[Any]):
    results = PurchaseOutput(many=True)


def quote_document(quoted: Quoted) -> Json:
    """Return the answer that shows a quote."""
    quote, offer = quoted.quote, quoted.quote.offer
    return {
        "id": quote.id,
        "quote": quoted.token,
        "buyer": quote.buyer,
        "kind": offer.kind.value,
        "item": offer.item,
        "version": offer.version,
        "digest": offer.digest,
        "seller": offer.seller,
        "price": shown_money(quote.price, offer.price.currency),
        "breakdown": None if quoted.breakdown is None else _breakdown(quoted.breakdown),
        "shares": _shares(quoted.shares),
        "delivery": msgspec.to_builtins(quote.delivery),
        "mode": offer.mode,
        "configuration": quote.configuration,
        "expires_at": quote.expires_at,
    }


def sale_document(row: Sale, *, as_buyer: bool) -> Json:
    """Return the answer that shows a sale to one of its parties."""
    same = ("id", "status", "buyer", "seller", "kind", "item", "version", "configuration", "void_code")
    url = f"/api/purchases/{row.id}"
    file = {"digest": row.file_digest, "size": row.file_size, "name": row.file_name, "url": f"{url}/file"}
    return {name: getattr(row, name) for name in (*same, "opened_at", "captured_at")} | {
        "held": shown_money(row.held, row.currency),
        "price": None if row.price is None else shown_money(row.price, row.currency),
        "refunded": shown_money(row.refunded, row.currency),
        "shares": _shares(msgspec.convert(row.shares, tuple[Share, ...])),
        "void": row.void_reason,
        "delivery": row.delivery if as_buyer else None,
        "tokens": row.tokens if as_buyer else None,
        "file": file if as_buyer and row.file_digest else None,
        "stream_version": row.stream_version,
        "url": url,
    }


def report_of(row: Sale) -> Json | None:
    """Return what was said of a delivery, from its file. Raises NotFound or StorageUnavailable."""
    if row.report_digest is None:
        return None
    document: Json = msgspec.json.decode(blobs.get_bytes(row.report_digest))
    return document


def _breakdown(breakdown: Breakdown) -> Json:
    same = ("base", "discount", "floor")
    return {name: getattr(breakdown, name) for name in same} | {
        "terms": terms_document(breakdown.terms),
        "before_discount": str(breakdown.before_discount),
    }


def terms_document(terms: Sequence[Term]) -> list[Json]:
    """Return the summands of a price or a score as `TermOutput` shows them."""
    return [
        {"name": each.name, "weight": f"{each.weight:f}", "factor": f"{each.factor:f}", "adds": f"{each.adds:f}"}
        for each in terms
    ]


def _shares(shares: Sequence[Share]) -> list[Json]:
    return [
        {
            "recipient": share.recipient.value,
            "agent": agent_of(share.account),
            "amount": share.amount,
            "item": share.item,
        }
        for share in shares
    ]
