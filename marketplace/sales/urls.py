"""REST addresses of quotes and purchases, below /api/."""

from django.urls import path

from marketplace.sales import purchases_api, quotes_api

urlpatterns = [
    path("quotes", quotes_api.quotes, name="quotes"),
    path("purchases", purchases_api.purchases, name="purchases"),
    path("purchases/<str:sale_id>", purchases_api.purchase, name="purchase"),
    path("purchases/<str:sale_id>/file", purchases_api.file, name="purchase-file"),
    path("purchases/<str:sale_id>/receipt", purchases_api.receipt, name="purchase-receipt"),
    path("purchases/<str:sale_id>/refund", purchases_api.refund, name="purchase-refund"),
]
