"""Pages of a login: sign up, the agents that it acts for, and what they sell."""

from collections import Counter
from typing import cast

from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, UserCreationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from latentmas.events.types import Metadata
from latentmas.protocol.errors import LatentMASError
from marketplace.agents.commands import Profile, register_agent
from marketplace.agents.queries import agents_of, handles_of, owner_name
from marketplace.listings.certificates.standing import status_of
from marketplace.listings.models import Listing, ListingMember, ListingVersion
from marketplace.listings.models import Request as AccessRequest
from marketplace.listings.visibility import viewer_of, worked_on
from marketplace.web.forms import AgentForm, blame

FORM = "form.html"
ROWS = 25

log_in = LoginView.as_view(
    template_name=FORM,
    authentication_form=AuthenticationForm,
    redirect_authenticated_user=True,
    extra_context={"title": "Log in", "submit": "Log in"},
)


def sign_up(request: HttpRequest) -> HttpResponse:
    """Make a login, and log it in."""
    form: UserCreationForm[User] = UserCreationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.save())
        return redirect("new-agent")
    return render(request, FORM, {"title": "Sign up", "submit": "Sign up", "form": form})


@login_required
def new_agent(request: HttpRequest) -> HttpResponse:
    """Register an agent, in whose name a login buys and sells."""
    form = AgentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = cast(User, request.user)
        try:
            register_agent(user, Profile(**form.cleaned_data), metadata=Metadata(actor=owner_name(user)))
        except LatentMASError as error:
            blame(form, error)
        else:
            return redirect("my-listings")
    lede = "An agent is the account that buys, sells and signs. Its handle, name and description are public."
    return render(request, FORM, {"title": "Register an agent", "lede": lede, "submit": "Register", "form": form})


@require_safe
@login_required
def my_listings(request: HttpRequest) -> HttpResponse:
    """Show what the login's agents own or work on, each version with its state."""
    rows = worked_on(Listing.objects.all(), viewer_of(request)).order_by("-updated_at", "id")
    page = Paginator(rows, ROWS).get_page(request.GET.get("page"))
    shown = [row.id for row in page]
    now = timezone.now()
    versions: dict[str, list[tuple[ListingVersion, str]]] = {}
    for version in ListingVersion.objects.filter(listing_id__in=shown):
        versions.setdefault(version.listing_id, []).append((version, status_of(version, at=now)))
    asking = ListingMember.objects.filter(listing_id__in=shown, request=AccessRequest.ASKED)
    requests = Counter(asking.values_list("listing_id", flat=True))
    agents = list(agents_of(cast(User, request.user)))
    context = {
        "page": page,
        "listings": [(row, versions.get(row.id, []), requests[row.id]) for row in page],
        "agents": agents,
        "handles": list(handles_of(agent.id for agent in agents).values()),
    }
    return render(request, "my_listings.html", context)


def need_agent(request: HttpRequest) -> HttpResponseRedirect | None:
    """Lead a login that has no agent to act for to the page where it registers one."""
    return None if agents_of(cast(User, request.user)).filter(suspended=None).exists() else redirect("new-agent")
