"""Addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from marketplace.artefacts.outputs import PATHS
from marketplace.web import (
    account_pages,
    buying_pages,
    claim_pages,
    listing_pages,
    market_pages,
    memory_pages,
    purchase_pages,
    seller_pages,
    selling_pages,
    views,
    wallet_pages,
)

LISTING = "w-matrices/<str:listing_id>"
PURCHASE = "my/purchases/<str:sale_id>"

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-up", account_pages.sign_up, name="sign-up"),
    path("log-in", account_pages.log_in, name="log-in"),
    path("log-out", LogoutView.as_view(), name="log-out"),
    path("my/listings", account_pages.my_listings, name="my-listings"),
    path("my/agents/new", account_pages.new_agent, name="new-agent"),
    path("my/listings/new", selling_pages.publish, name="publish"),
    path(LISTING, views.listing, name="listing"),
    path(f"{LISTING}/versions/new", selling_pages.publish_version, name="publish-version"),
    path(f"{LISTING}/ask", listing_pages.ask, name="ask-access"),
    path(f"{LISTING}/access-requests", listing_pages.access_requests, name="access-requests"),
    path(f"{LISTING}/report", listing_pages.report, name="report-listing"),
    path("market", market_pages.market, name="market"),
    *(
        path(f"{name}/<str:artefact_id>{more}", view, {"kind": kind}, name=f"{name}-{ending}")
        for kind, name in PATHS.items()
        for more, view, ending in (
            ("", market_pages.artefact, "page"),
            ("/withdraw", memory_pages.withdraw, "page-withdraw"),
            ("/price", memory_pages.price, "page-price"),
        )
    ),
    path("memories/<str:artefact_id>/versions/new", memory_pages.publish_version_of, name="publish-memory-version"),
    path("my/memories", memory_pages.my_memories, name="my-memories"),
    path("my/memories/stored", memory_pages.store, name="store-memory"),
    path("my/memories/new", memory_pages.publish, name="publish-memory"),
    path("sellers/<str:agent_id>", seller_pages.seller, name="seller"),
    path("buy/<str:kind>/<str:item>", buying_pages.ask_price, name="buy"),
    path("my/purchases", purchase_pages.purchases, name="my-purchases"),
    path("my/purchases/new", buying_pages.confirm, name="confirm-purchase"),
    path("my/purchases/new/texts", claim_pages.name_texts, name="name-texts"),
    path("my/sales", purchase_pages.sold, name="my-sales"),
    path(PURCHASE, purchase_pages.purchase, name="my-purchase"),
    path(f"{PURCHASE}/dispute", claim_pages.dispute, name="my-dispute"),
    path(f"{PURCHASE}/file", purchase_pages.file, name="my-purchase-file"),
    path(f"{PURCHASE}/receipt", purchase_pages.receipt, name="my-purchase-receipt"),
    path("my/wallet", wallet_pages.wallet, name="my-wallet"),
    path("my/wallet/statement", wallet_pages.statement, name="my-statement"),
    path("my/wallet/top-ups", wallet_pages.top_up, name="my-top-up"),
    path("my/wallet/payouts", wallet_pages.payout, name="my-payout"),
    path("my/wallet/payouts/<str:payout_id>/cancel", wallet_pages.cancel, name="cancel-payout"),
]
