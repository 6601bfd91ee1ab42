"""The gateways that this server is configured for; settings say so, and one without its settings is not offered."""

from django.conf import settings

from marketplace.payments.errors import GatewayNotOffered
from marketplace.payments.gateways.interface import Gateway
from marketplace.payments.gateways.manual import ManualGateway
from marketplace.payments.gateways.stripe_checkout import StripeCheckout
from marketplace.payments.gateways.stripe_intents import StripeIntents
from marketplace.payments.gateways.x402 import X402Gateway
from marketplace.payments.gateways.x402_terms import Asset


def offered() -> dict[str, Gateway]:
    """Return the gateways by name."""
    gateways: list[Gateway] = [ManualGateway()]
    if settings.STRIPE_SECRET_KEY:
        gateways.append(StripeIntents(settings.STRIPE_SECRET_KEY))
        if settings.STRIPE_RETURN_URL:
            gateways.append(StripeCheckout(settings.STRIPE_SECRET_KEY, return_url=settings.STRIPE_RETURN_URL))
    if settings.X402_FACILITATOR_URL:
        facilitator, token = settings.X402_FACILITATOR_URL, settings.X402_FACILITATOR_TOKEN
        gateways.append(X402Gateway(_asset(), facilitator=facilitator, token=token))
    return {each.name: each for each in gateways}


def gateway_named(name: str) -> Gateway:
    """Return a gateway. Raises GatewayNotOffered."""
    known = offered()
    if name not in known:
        raise GatewayNotOffered(f"{name[:40]!r} is not offered here", field="gateway", offered=sorted(known))
    return known[name]


def _asset() -> Asset:
    return Asset(
        network=settings.X402_NETWORK,
        address=settings.X402_ASSET,
        name=settings.X402_ASSET_NAME,
        version=settings.X402_ASSET_VERSION,
        decimals=settings.X402_ASSET_DECIMALS,
        currency=settings.X402_CURRENCY,
        pay_to=settings.X402_PAY_TO,
    )
