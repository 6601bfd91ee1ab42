"""All URLs of the product."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView

from latentmas.health.api import healthz, readyz
from latentmas.rest.service import docs, metrics

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("latentmas.registry.urls")),
    path("api/", include("latentmas.jobs.urls")),
    path("api/", include("latentmas.transparency.urls")),
    path("api/", include("kvcache.server.urls")),
    path("api/", include("marketplace.accounts.urls")),
    path("api/", include("marketplace.agents.urls")),
    path("api/", include("marketplace.listings.urls")),
    path("api/", include("marketplace.certification.urls")),
    path("api/", include("marketplace.curation.urls")),
    path("api/", include("marketplace.exchange.urls")),
    path("api/", include("marketplace.memories.urls")),
    path("api/", include("marketplace.artefacts.urls")),
    path("api/", include("marketplace.ledger.urls")),
    path("api/", include("marketplace.payments.urls")),
    path("api/", include("marketplace.pricing.urls")),
    path("api/", include("marketplace.sales.urls")),
    path("api/", include("marketplace.claims.urls")),
    path("api/", include("marketplace.reputation.urls")),
    path("api/", include("marketplace.uploads.urls")),
    path("api/", include("marketplace.webhooks.urls")),
    path("api/", include("factory.urls")),
    path("api/schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path("api/docs", docs, name="api-docs"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("", include("marketplace.web.urls")),
]
