"""`latentmas.outbound` as a transport of httpx, for libraries that bring their own httpx client's calls."""

import httpx

from latentmas import outbound
from latentmas.protocol.errors import LatentMASError

UNSENT = {"host", "user-agent", "accept-encoding", "connection", "content-length"}  # the sender's own affair


class OutboundTransport(httpx.BaseTransport):
    """Sends by `outbound.send`; what that refuses or does not get is an httpx.ConnectError."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in UNSENT}
        try:
            answer = outbound.send(request.method, str(request.url), headers=headers, body=request.read())
        except LatentMASError as error:
            raise httpx.ConnectError(error.message, request=request) from error
        return httpx.Response(answer.status, content=answer.body, request=request)
