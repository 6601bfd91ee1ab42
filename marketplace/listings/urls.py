"""REST addresses of the catalogue, below /api/. Listing ids and versions hold no slash; versions hold dots."""

from django.urls import path

from marketplace.listings.rest import (
    catalogue_api,
    estimate_api,
    feed_api,
    files_api,
    import_api,
    lifecycle_api,
    members_api,
    protocol_api,
    selling_api,
    transfer_api,
)

LISTING = "w-matrices/<str:listing_id>"
VERSION = f"{LISTING}/versions/<str:version>"

urlpatterns = [
    path("w-matrices", selling_api.w_matrices, name="w-matrices"),
    path("w-matrices/best", catalogue_api.best_for_pair, name="w-matrix-best"),
    path("w-matrices/estimate", estimate_api.estimate_quality, name="w-matrix-estimate"),
    path("w-matrices/compatible", catalogue_api.compatible, name="w-matrix-compatible"),
    path("w-matrices/statistics", catalogue_api.totals, name="w-matrix-statistics"),
    path("w-matrices/verify", files_api.verify, name="w-matrix-verify"),
    path("w-matrices/import", import_api.import_w_matrix, name="w-matrix-import"),
    path("w-matrices/version-compatibility", protocol_api.version_compatibility, name="w-matrix-version-compatibility"),
    path("w-matrices/certification-tiers", protocol_api.certification_tiers, name="w-matrix-certification-tiers"),
    path(LISTING, catalogue_api.listing, name="w-matrix"),
    path(f"{LISTING}/versions", selling_api.versions, name="w-matrix-versions"),
    path(f"{LISTING}/aliases/<str:name>", lifecycle_api.alias, name="w-matrix-alias"),
    path(f"{LISTING}/price", lifecycle_api.price, name="w-matrix-price"),
    path(f"{LISTING}/split", lifecycle_api.split, name="w-matrix-split"),
    path(f"{LISTING}/access", lifecycle_api.access, name="w-matrix-access"),
    path(f"{LISTING}/transfer", transfer_api.transfer, name="w-matrix-transfer"),
    path(f"{LISTING}/transfer/accept", transfer_api.accept, name="w-matrix-transfer-accept"),
    path(f"{LISTING}/transfer/decline", transfer_api.decline, name="w-matrix-transfer-decline"),
    path("transfers", transfer_api.offered, name="transfers"),
    path(f"{LISTING}/delist", lifecycle_api.delist, name="w-matrix-delist"),
    path(f"{LISTING}/quarantine", lifecycle_api.quarantine, name="w-matrix-quarantine"),
    path(f"{LISTING}/release", lifecycle_api.release, name="w-matrix-release"),
    path(f"{LISTING}/collaborators", members_api.collaborators, name="w-matrix-collaborators"),
    path(f"{LISTING}/collaborators/<str:agent_id>", members_api.collaborator, name="w-matrix-collaborator"),
    path(f"{LISTING}/access-requests", members_api.access_requests, name="w-matrix-access-requests"),
    path(f"{LISTING}/access-requests/<str:agent_id>", members_api.access_request, name="w-matrix-access-request"),
    path(f"{VERSION}/yank", lifecycle_api.yank, name="w-matrix-yank"),
    path(f"{VERSION}/deprecate", lifecycle_api.deprecate, name="w-matrix-deprecate"),
    path(VERSION, catalogue_api.version, name="w-matrix-version"),
    path(f"{VERSION}/file", files_api.file, name="w-matrix-file"),
    path(f"{VERSION}/report", catalogue_api.report, name="w-matrix-report"),
    path(f"{VERSION}/manifest", feed_api.manifest, name="w-matrix-manifest"),
    path("feed", feed_api.feed, name="feed"),
    path("feed/schema", feed_api.schema, name="feed-schema"),
    path(f"{VERSION}/certificate", catalogue_api.certificate, name="w-matrix-certificate"),
]
