"""Inputs of the catalogue's endpoints. Unknown parameters are refused: a misspelt filter would match everything."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from latentmas.blobs import DIGEST
from latentmas.protocol.certification import Tier
from latentmas.protocol.quality import Basis
from latentmas.protocol.versions import parse_version
from latentmas.protocol.w_matrix import Method, Space
from latentmas.registry.queries import name_of_model
from latentmas.rest.parameters import DigestField, StrictSerializer, read, snake_keys
from marketplace.listings.choosing.wanted import Wanted
from marketplace.listings.queries import Filters
from marketplace.listings.visibility import Viewer

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
MAX_CONTEXT = (1 << 31) - 2
SPACES = [space.value for space in Space]
ANY = "any"
# Shorter and older names of the same parameters.
ALIASES = {
    "source": "source_model",
    "target": "target_model",
    "certification": "tier",
    "max_price": "price_max",
    "min_tier": "min_certification",
    "expected_checksum": "checksum",
    "checksum_sha256": "checksum",
}


class FiltersInput(StrictSerializer):
    source_model = serializers.CharField(required=False, help_text="Name, hub id or alias; `source` is the same.")
    target_model = serializers.CharField(required=False, help_text="Name, hub id or alias; `target` is the same.")
    family = serializers.CharField(required=False, help_text="Family of either model.")
    tier = serializers.ChoiceField([tier.value for tier in Tier], required=False)
    basis = serializers.ChoiceField([basis.value for basis in Basis], required=False)
    method = serializers.ChoiceField([method.value for method in Method], required=False)
    price_max = serializers.IntegerField(required=False, min_value=0, max_value=10**12, help_text="Minor units.")
    include_simulated = serializers.BooleanField(required=False, default=True)
    space = serializers.ChoiceField([*SPACES, ANY], required=False, default=Space.KV_CACHE.value)


class BrowseInput(FiltersInput):
    limit = serializers.IntegerField(required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT)
    cursor = serializers.CharField(required=False, max_length=400, help_text="`next_cursor` of the page before.")


class WantedInput(StrictSerializer):
    """What is wanted of a version beside its models."""

    min_certification = serializers.ChoiceField([tier.value for tier in Tier], required=False)
    space = serializers.ChoiceField(SPACES, required=False, default=Space.KV_CACHE.value)
    source_weights = DigestField(required=False, help_text="Only figures of exactly these weights.")
    target_weights = DigestField(required=False, help_text="Only figures of exactly these weights.")
    suite = serializers.CharField(required=False, help_text="Name or digest of the evaluation suite.")
    version = serializers.CharField(required=False, help_text="A version that must be compatible: MAJOR.MINOR.PATCH.")
    price_max = serializers.IntegerField(required=False, min_value=0, max_value=10**12, help_text="Minor units.")


class BestInput(WantedInput):
    source_model = serializers.CharField(help_text="Name, hub id or alias.")
    target_model = serializers.CharField(help_text="Name, hub id or alias.")
    include_simulated = serializers.BooleanField(
        required=False, default=False, help_text="Return a simulated version where nothing certified exists."
    )
    context_tokens = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_CONTEXT, help_text="Length of the contexts, in the target's tokens."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "context_tokens" in attrs and attrs["space"] != Space.KV_CACHE:
            raise serializers.ValidationError({"context_tokens": "only a KV-cache has a context"})
        return attrs


class PairEstimateInput(StrictSerializer):
    source_model = serializers.CharField(help_text="Name, hub id or alias.")
    target_model = serializers.CharField(help_text="Name, hub id or alias.")


class CompatibleInput(WantedInput):
    source_model = serializers.CharField(help_text="Name, hub id or alias.")


class VersionCompatibilityInput(StrictSerializer):
    required = serializers.CharField(  # type: ignore[assignment]  # declared fields never become attributes
        help_text="MAJOR.MINOR.PATCH"
    )
    available = serializers.CharField(help_text="MAJOR.MINOR.PATCH")


class VerifyInput(StrictSerializer):
    checksum = serializers.CharField(help_text="sha256:<hex>, or the 64 hex digits alone.")

    def validate_checksum(self, value: str) -> str:
        digest = value.strip().lower()
        digest = digest if digest.startswith("sha256:") else f"sha256:{digest}"
        if DIGEST.fullmatch(digest) is None:
            raise serializers.ValidationError("not a SHA-256 digest; write sha256: and 64 hex digits")
        return digest


def read_query(request: Request, shape: type[StrictSerializer]) -> dict[str, Any]:
    """Return the validated query parameters. Raises ValidationError."""
    return read(snake_keys(request.query_params.dict(), aliases=ALIASES), shape)


def filters_from(values: Mapping[str, Any]) -> Filters:
    """Return the filters under the registry's names of the models. Raises ModelNotSupported."""
    return Filters(
        source_model=_model(values.get("source_model")),
        target_model=_model(values.get("target_model")),
        family=values.get("family"),
        tier=tier_of(values, "tier"),
        basis=Basis(values["basis"]) if "basis" in values else None,
        method=values.get("method"),
        price_max=values.get("price_max"),
        include_simulated=values["include_simulated"],
        space=None if values["space"] == ANY else Space(values["space"]),
    )


def wanted_from(values: Mapping[str, Any], viewer: Viewer) -> Wanted:
    """Return what a viewer wants of a version. Raises InvalidInput for a malformed one."""
    return Wanted(
        floor=tier_of(values),
        context_tokens=values.get("context_tokens"),
        source_weights=values.get("source_weights"),
        target_weights=values.get("target_weights"),
        suite=values.get("suite"),
        version=parse_version(values["version"]) if "version" in values else None,
        price_max=values.get("price_max"),
        simulated=values.get("include_simulated", False),
        viewer=viewer,
    )


def tier_of(values: Mapping[str, Any], name: str = "min_certification") -> Tier | None:
    return Tier(values[name]) if name in values else None


def _model(spelling: str | None) -> str | None:
    return None if spelling is None else name_of_model(spelling)
