"""REST addresses of the catalogue, below /api/. Listing ids and versions hold no slash; versions hold dots."""

from django.urls import path

from marketplace.listings import api, estimate_api, feed_api, files_api, protocol_api

VERSION = "w-matrices/<str:listing_id>/versions/<str:version>"

urlpatterns = [
    path("w-matrices", api.browse, name="w-matrices"),
    path("w-matrices/best", api.best_for_pair, name="w-matrix-best"),
    path("w-matrices/estimate", estimate_api.estimate_quality, name="w-matrix-estimate"),
    path("w-matrices/compatible", api.compatible, name="w-matrix-compatible"),
    path("w-matrices/statistics", api.totals, name="w-matrix-statistics"),
    path("w-matrices/verify", files_api.verify, name="w-matrix-verify"),
    path("w-matrices/version-compatibility", protocol_api.version_compatibility, name="w-matrix-version-compatibility"),
    path("w-matrices/certification-tiers", protocol_api.certification_tiers, name="w-matrix-certification-tiers"),
    path("w-matrices/<str:listing_id>", api.listing, name="w-matrix"),
    path(VERSION, api.version, name="w-matrix-version"),
    path(f"{VERSION}/file", files_api.file, name="w-matrix-file"),
    path(f"{VERSION}/report", api.report, name="w-matrix-report"),
    path(f"{VERSION}/manifest", feed_api.manifest, name="w-matrix-manifest"),
    path("feed", feed_api.feed, name="feed"),
    path("feed/schema", feed_api.schema, name="feed-schema"),
    path(f"{VERSION}/certificate", api.certificate, name="w-matrix-certificate"),
]
