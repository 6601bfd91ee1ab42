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
VECTORS_ALIGN: Final = "vectors:align"

SCOPES: Final[Mapping[str, str]] = {
    KV_CACHE_COMPUTE: "Compress, decompress, judge, measure and stream KV-caches on this server.",
    W_MATRICES_GENERATE: "Have W-Matrices fitted from calibration packs and listed.",
    CALIBRATION_PACKS_WRITE: "Contribute calibration packs.",
    VECTORS_ALIGN: "Map vectors of one model into the embedding space of another on this server.",
    MEMORIES_READ: "Read, download and align your stored memories.",
    MEMORIES_WRITE: "Store and delete memories of your own.",
}
