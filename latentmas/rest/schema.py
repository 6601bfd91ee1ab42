"""What every operation of the OpenAPI document has in common."""

from typing import Any

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOutput"}}}
SECONDS = {"schema": {"type": "integer"}}
THROTTLED = {
    "description": "Too many requests; `Retry-After` says how many seconds to wait.",
    "headers": dict.fromkeys(("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"), SECONDS),
    "content": PROBLEM,
}
METHODS = {"get", "post", "put", "patch", "delete"}


def with_throttles(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Document 429 at every operation: there is no route without a throttle."""
    for path in result["paths"].values():
        for method in METHODS & path.keys():
            path[method]["responses"]["429"] = THROTTLED
    return result
