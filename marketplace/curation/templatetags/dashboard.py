"""The tag `dashboard` of the admin's first page."""

from typing import Any

from django import template
from django.utils import timezone

from marketplace.curation import dashboard as figures

register = template.Library()


@register.inclusion_tag("admin/curation/dashboard.html", takes_context=True)
def dashboard(context: Any) -> dict[str, Any]:
    """Show the figures, with links to the lists that the reader may open."""
    shown, user = figures.dashboard(at=timezone.now()), context["user"]
    return {"shown": shown, "queues": [(each, user.has_perm(each.permission)) for each in shown.queues]}
