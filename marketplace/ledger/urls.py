"""REST addresses of wallets, below /api/."""

from django.urls import path

from marketplace.ledger import api

urlpatterns = [
    path("wallet", api.wallets, name="wallet"),
    path("wallet/statement", api.statement, name="wallet-statement"),
]
