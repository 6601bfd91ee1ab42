"""The two addresses of load balancers and orchestrators: is the process alive, and can it serve?"""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from latentmas.health.probes import PROBES
from latentmas.health.readiness import outcomes


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200: the process is alive. It looks at nothing else; restarting a process repairs no database."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 where database, migrations, broker and storage can be used, else 503; `checks` names each."""
    found = outcomes(PROBES)
    ready = all(each.healthy for each in found.values())
    checks = {name: "ok" if each.healthy else each.what for name, each in found.items()}
    return JsonResponse({"status": "ok" if ready else "unavailable", "checks": checks}, status=200 if ready else 503)
