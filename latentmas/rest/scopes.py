"""Scopes of API tokens; `permissions` has what requires them of a request.

Every app can require a scope; only `marketplace.accounts` knows how tokens are stored.
"""

from collections.abc import Mapping
from typing import Final

KV_CACHE_COMPUTE: Final = "kv-cache:compute"
W_MATRICES_GENERATE: Final = "w-matrices:generate"
CALIBRATION_PACKS_WRITE: Final = "calibration-packs:write"
MEMORIES_READ: Final = "memories:read"
MEMORIES_WRITE: Final = "memories:write"
MEMORIES_PUBLISH: Final = "memories:publish"
VECTORS_ALIGN: Final = "vectors:align"
AGENTS_WRITE: Final = "agents:write"
W_MATRICES_PUBLISH: Final = "w-matrices:publish"
W_MATRICES_CERTIFY: Final = "w-matrices:certify"
PURCHASES_WRITE: Final = "purchases:write"
WALLET_READ: Final = "wallet:read"
TOP_UPS_WRITE: Final = "top-ups:write"
PAYOUTS_WRITE: Final = "payouts:write"
REPORTS_WRITE: Final = "reports:write"
REVIEWS_WRITE: Final = "reviews:write"
WEBHOOKS_WRITE: Final = "webhooks:write"
MARKETPLACE_ADMIN: Final = "marketplace:admin"

# What a scope needs beside the token: the permission of its account. It is asked for at every request, too.
RESTRICTED: Final[Mapping[str, str]] = {
    W_MATRICES_CERTIFY: "accounts.certify",
    MARKETPLACE_ADMIN: "accounts.curate",
}

SCOPES: Final[Mapping[str, str]] = {
    KV_CACHE_COMPUTE: "Compress, decompress, judge, measure and stream KV-caches on this server.",
    W_MATRICES_GENERATE: "Have W-Matrices fitted from calibration packs and listed.",
    CALIBRATION_PACKS_WRITE: "Contribute calibration packs.",
    VECTORS_ALIGN: "Map vectors of one model into the embedding space of another on this server.",
    MEMORIES_READ: "Read, download and align your stored memories.",
    MEMORIES_WRITE: "Store and delete memories of your own.",
    MEMORIES_PUBLISH: "Sell memories, reasoning chains and embeddings as an agent, and change what it sells.",
    AGENTS_WRITE: "Register agents, and change their profiles, keys and verification.",
    W_MATRICES_PUBLISH: "Publish W-Matrices as an agent, and change its listings.",
    W_MATRICES_CERTIFY: "Submit recertifications as an independent validator.",
    PURCHASES_WRITE: "Buy as an agent, within the token's mandate; see its sales, refund and dispute them.",
    WALLET_READ: "Read an agent's wallet, its statements, top-ups and payouts.",
    TOP_UPS_WRITE: "Begin top-ups of an agent's wallet.",
    PAYOUTS_WRITE: "Ask for payouts of an agent's wallet, and cancel them; never by a token with a mandate.",
    REPORTS_WRITE: "Report listings to the curators.",
    REVIEWS_WRITE: "Review what an agent has bought, and answer the reviews of what it has sold.",
    WEBHOOKS_WRITE: "Subscribe to events, and change or replay subscriptions.",
    MARKETPLACE_ADMIN: "Do what a curator may: suspend, quarantine, release, certify.",
}
