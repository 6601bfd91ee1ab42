"""Stripe's official client, on the one client for outbound requests, and what its errors mean for a payment."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from latentmas import outbound
from latentmas.protocol.errors import LatentMASError
from marketplace.payments.gateways.interface import Outcome, Verdict

if TYPE_CHECKING:
    from stripe import StripeClient

T = TypeVar("T")


@cache
def client(key: str) -> "StripeClient":
    """Return the client of an account. It never repeats a request by itself: `reconcile_payments` asks again."""
    import stripe

    class Outbound(stripe.HTTPClient):
        """Sends by `latentmas.outbound`; whatever goes wrong there leaves open whether Stripe has acted."""

        name = "latentmas"

        def request(
            self,
            method: str,
            url: str,
            headers: Mapping[str, str] | None,
            post_data: Any = None,
            *,
            _usage: list[str] | None = None,
        ) -> tuple[str, int, Mapping[str, str]]:
            body = post_data.encode() if isinstance(post_data, str) else post_data or b""
            try:
                answer = outbound.send(method.upper(), url, headers=headers, body=body)
            except LatentMASError as error:
                raise stripe.APIConnectionError(error.message) from error  # type: ignore[no-untyped-call]
            return answer.body.decode(errors="replace"), answer.status, {}

        def close(self) -> None:
            pass

    return stripe.StripeClient(key, http_client=Outbound(), max_network_retries=0)


def outcome_of(call: Callable[[], T], judge: Callable[[T], Outcome]) -> Outcome:
    """Return what a call says of its payment: UNKNOWN where Stripe has not answered, FAILED where it has refused."""
    import stripe

    try:
        return judge(call())
    except (stripe.InvalidRequestError, stripe.CardError) as error:
        return Outcome(Verdict.FAILED, explanation=error.user_message or "Stripe refuses the payment")
    except stripe.StripeError:
        # Of a wrong key or too many requests as of silence: nothing was said about the payment.
        return Outcome(Verdict.UNKNOWN)
