"""How drf-spectacular makes the OpenAPI document."""

from typing import Any

from latentmas.protocol.quality import TokenMode
from latentmas.protocol.w_matrix import PROTOCOL, Method

DOCUMENT: dict[str, Any] = {
    "TITLE": "LatentMAS",
    "DESCRIPTION": "W-Matrices between language models and compressed KV-caches: measured, certified, versioned.",
    "VERSION": "2.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    # Of fields that share a name but not their choices.
    "ENUM_NAME_OVERRIDES": {
        "CompressionMethodEnum": "kvcache.compression.plan.METHODS",
        "GoodsKindEnum": "marketplace.sales.models.KINDS",
        "DisputeKindEnum": "marketplace.claims.models.KINDS",
        "FitMethodEnum": [method.value for method in Method],
        "ListingReportKindEnum": "marketplace.curation.models.Kind",
        "PayoutStatusEnum": "marketplace.payments.inputs.PAYOUT_STATUSES",
        "ProtocolEnum": [PROTOCOL],
        "SaleStatusEnum": "marketplace.sales.outputs.STATUSES",
        "TierEnum": "marketplace.listings.models.TIERS",
        "TokenModeEnum": [mode.value for mode in TokenMode],
        "TokenStateEnum": "marketplace.accounts.api.STATES",
        "TopUpStatusEnum": "marketplace.payments.inputs.TOP_UP_STATUSES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "latentmas.rest.schema.with_camel_keys",
        "latentmas.rest.schema.with_problems",
    ],
}
