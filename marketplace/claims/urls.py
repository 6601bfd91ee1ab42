"""REST addresses of disputes and acceptances, below /api/."""

from django.urls import path

from marketplace.claims import acceptances_api, disputes_api

urlpatterns = [
    path("disputes", disputes_api.disputes, name="disputes"),
    path("disputes/<str:dispute_id>", disputes_api.dispute, name="dispute"),
    path("disputes/<str:dispute_id>/answer", disputes_api.answer, name="dispute-answer"),
    path("disputes/<str:dispute_id>/withdraw", disputes_api.withdraw, name="dispute-withdraw"),
    path("purchases/<str:sale_id>/dispute", disputes_api.of_purchase, name="purchase-dispute"),
    path("acceptances", acceptances_api.acceptances, name="acceptances"),
    path("acceptances/<str:acceptance_id>", acceptances_api.acceptance, name="acceptance"),
]
