"""What `vectors/align` accepts: JSON, or beside a file its parameters in the query. Calls of version 1.0 are valid."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from kvcache.inputs import ArrayField, NothingInput, read_query
from latentmas.inputs import StrictSerializer, object_in, read
from latentmas.middleware import PROTOCOL
from latentmas.parsers import is_file
from latentmas.protocol.errors import InvalidInput
from latentmas.spellings import snake_keys

PROTOCOLS = ("LatentMAS/1.0", PROTOCOL)
ALIASES = {"source": "source_model", "target": "target_model", "version": "w_matrix_version"}


class PolicyInput(StrictSerializer):
    minimum_quality = serializers.FloatField(
        required=False, min_value=0, max_value=1, help_text="Least top-1 retrieval; below it nothing is answered."
    )
    # No default: what stands nowhere must not replace what stands beside the policy.
    require_certificate = serializers.BooleanField(required=False, help_text="True unless said otherwise.")


@extend_schema_field(PolicyInput)
class PolicyField(serializers.Field[Any, Any, Any, Any]):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("not an object")
        return read(snake_keys(data), PolicyInput)


class AlignVectorsOptions(PolicyInput):
    protocol = serializers.ChoiceField(PROTOCOLS, default=PROTOCOL)
    source_model = serializers.CharField(help_text="Name, hub id or alias.")
    target_model = serializers.CharField(help_text="Name, hub id or alias.")
    w_matrix_version = serializers.CharField(required=False, help_text="MAJOR.MINOR.PATCH; the best by default.")
    normalise = serializers.BooleanField(default=False, help_text="Answer with vectors of length one.")


class AlignVectorsInput(AlignVectorsOptions):
    """Exactly one of `vector` and `vectors`. The policy's members may also stand beside the other parameters."""

    vector = ArrayField(required=False, help_text="[width]")
    vectors = ArrayField(required=False, help_text="[count][width]")
    policy = PolicyField(required=False)


def options_in(request: Request) -> dict[str, Any]:
    """Return the parameters of a request, its policy among them. Raises ValidationError or InvalidInput."""
    if is_file(request):
        return read_query(request, AlignVectorsOptions)
    read_query(request, NothingInput)
    options = read(object_in(request, aliases=ALIASES), AlignVectorsInput)
    if ("vector" in options) == ("vectors" in options):
        raise InvalidInput("give either vector or vectors", field="vectors")
    policy: dict[str, Any] = options.pop("policy", {})
    return options | policy
