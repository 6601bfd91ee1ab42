"""Addresses of the pages."""

from django.urls import path

from marketplace.web import views

urlpatterns = [
    path("", views.home, name="home"),
    path("w-matrices/<str:listing_id>", views.listing, name="listing"),
]
