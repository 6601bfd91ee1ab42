"""What browsers may do on the pages."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

# Nothing inline and nothing from elsewhere; links may lead anywhere.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"


class PagePolicyMiddleware:
    """Sends the content security policy with every HTML answer but the admin's, which is Django's own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_page and not request.path.startswith(reverse("admin:index")):
            response["Content-Security-Policy"] = POLICY
        return response
