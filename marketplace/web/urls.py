"""Addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from marketplace.web import account_pages, listing_pages, selling_pages, views

LISTING = "w-matrices/<str:listing_id>"

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
]
