"""What can go wrong with top-ups and payouts."""

from latentmas.protocol.errors import Conflict, InvalidInput, LatentMASError


class GatewayNotOffered(InvalidInput):
    """The gateway is not known, or this server is not configured for it."""

    code = "GATEWAY_NOT_OFFERED"
    title = "This server does not take payments that way"
    resolution = "Use one of the gateways among the facts."


class GatewayAway(LatentMASError):
    """The gateway did not answer, or not in its own form. Whether it has done what it was asked is not known."""

    code = "GATEWAY_AWAY"
    status = 503
    title = "The payment gateway does not answer"
    resolution = "Send the request again; nothing is charged twice."
    retry_after = 60


class PaymentRefused(LatentMASError):
    """The gateway says that this payment cannot be made; nothing was charged."""

    code = "PAYMENT_REFUSED"
    status = 402
    title = "The gateway refuses the payment"
    resolution = "Pay in another way, or another amount."


class X402PaymentRequired(LatentMASError):
    """The request lacks an x402 payment; `facts.accepts` says which one would do."""

    code = "X402_PAYMENT_REQUIRED"
    status = 402
    title = "Send the payment along"
    resolution = "Sign an authorisation for what `accepts` says, and send the request again with PAYMENT-SIGNATURE."


class PaymentReplayed(Conflict):
    """This authorisation was used for a top-up before."""

    code = "PAYMENT_REPLAYED"
    title = "The payment was used before"
    resolution = "Look at the top-up that it was used for, or sign a new authorisation."


class PaymentUnsettled(Conflict):
    """Whether a payment of the agent's was made is not known yet, so that it is asked for no other one."""

    code = "PAYMENT_UNSETTLED"
    title = "A payment is not settled yet"
    resolution = "Send the request again as it is, with the same payment, after a while: nothing is charged twice."
    retry_after = 30


class PaymentMismatch(Conflict):
    """What the gateway says of a payment is not what was asked for."""

    code = "PAYMENT_MISMATCH"
    title = "The payment is another one"
    resolution = "A curator compares the top-up with the gateway's record, and credits or fails it by hand."


class WebhookRefused(LatentMASError):
    """The message is not the gateway's, or too old, or not readable."""

    code = "WEBHOOK_REFUSED"
    status = 400
    title = "The signature of the message does not hold"
    resolution = "Compare STRIPE_WEBHOOK_SECRET with the endpoint's secret at Stripe, and the clocks."


class NegativeBalance(Conflict):
    """One of the agent's wallets is below zero, so nothing is paid out."""

    code = "NEGATIVE_BALANCE"
    title = "A wallet is below zero"
    resolution = "Top it up first with POST /api/top-ups."
