"""Read the model registry over REST. It changes in the admin and through load_registry only."""

from typing import Any

from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from latentmas.registry import queries
from latentmas.registry.facts import PRICE_TIERS
from latentmas.registry.models import RegisteredModel
from latentmas.rest.endpoints import NOT_MODIFIED

MAX_LIMIT = 100


class ModelFilters(serializers.Serializer[Any]):
    family = serializers.CharField(required=False, help_text="A family's whole name, such as `Meta LLaMA`.")
    open_weights = serializers.BooleanField(required=False)
    active = serializers.BooleanField(required=False)
    role = serializers.ChoiceField(
        required=False,
        choices=queries.ROLES,
        help_text="Models that can stand at this end of a W-Matrix: active, with a KV-cache or vectors of known width.",
    )
    search = serializers.CharField(required=False, help_text="Part of a name, hub id, alias or family.")


class LimitFilter(serializers.Serializer[Any]):
    limit = serializers.IntegerField(required=False, min_value=1, max_value=MAX_LIMIT)


class ModelLicenceOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    url = serializers.CharField(allow_null=True)


class ModelOutput(serializers.Serializer[RegisteredModel]):
    """A model as the registry knows it; null is "not known" everywhere."""

    name = serializers.CharField()
    family = serializers.CharField()
    aliases = serializers.ListField(child=serializers.CharField())
    hub_id = serializers.CharField(allow_null=True)
    open_weights = serializers.BooleanField()
    licence = ModelLicenceOutput(allow_null=True)
    popularity = serializers.IntegerField(allow_null=True)
    price_tier = serializers.ChoiceField(choices=PRICE_TIERS, allow_null=True)
    attention_threshold = serializers.FloatField()
    active = serializers.BooleanField()
    inactive_reason = serializers.CharField()
    has_kv_cache = serializers.BooleanField()
    kv_width = serializers.IntegerField(allow_null=True, help_text="Numbers cached per token over all layers.")
    latent_dimension = serializers.IntegerField(allow_null=True)
    version = serializers.IntegerField(help_text="Version of the model's event stream; also its ETag.")
    updated_at = serializers.DateTimeField()


class ModelDetailOutput(ModelOutput):
    architecture = serializers.DictField(help_text="Every published fact of the architecture; null is not published.")
    curated = serializers.ListField(child=serializers.CharField(), help_text="Facts that a curator decided.")


class CompatibleModelOutput(serializers.Serializer[RegisteredModel]):
    name = serializers.CharField()
    family = serializers.CharField()
    exchange = serializers.ChoiceField(choices=("kv-cache", "vector"))


class ByName(CursorPagination):
    ordering = "name"
    page_size = 50
    max_page_size = MAX_LIMIT
    page_size_query_param = "limit"

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page without REST framework's examples of addresses, which are another server's."""
        page: dict[str, Any] = super().get_paginated_response_schema(schema)
        for name in ("next", "previous"):
            page["properties"][name].pop("example", None)
        return page


def _answers(serializer: serializers.BaseSerializer[Any] | type[serializers.Serializer[Any]]) -> dict[int, Any]:
    return {200: serializer, **NOT_MODIFIED}


class RegistryView(GenericAPIView[RegisteredModel]):
    permission_classes = (AllowAny,)
    pagination_class = ByName
    queryset = RegisteredModel.objects.none()
    serializer_class = ModelOutput


@method_decorator(conditional_page, name="dispatch")
class ModelList(RegistryView):
    @extend_schema(
        operation_id="models_list", parameters=[ModelFilters, LimitFilter], responses=_answers(ModelOutput(many=True))
    )
    def get(self, request: Request) -> Response:
        """List the models, by name."""
        models = queries.list_models(**_checked(ModelFilters, request))
        _checked(LimitFilter, request)
        page = self.paginate_queryset(models)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


NAME = OpenApiParameter(
    "name", OpenApiTypes.STR, OpenApiParameter.PATH, description="A name, hub id or alias, in upper or lower case."
)


class ModelDetail(RegistryView):
    @extend_schema(operation_id="models_retrieve", parameters=[NAME], responses=_answers(ModelDetailOutput))
    def get(self, request: Request, name: str) -> Response:
        """Return one model by its name, hub id or an alias."""
        model = queries.get_model(name)
        response = Response(ModelDetailOutput(model).data)
        response["ETag"] = etag = f'"{model.version}"'
        return get_conditional_response(request._request, etag=etag, response=response)  # type: ignore[return-value]


@method_decorator(conditional_page, name="dispatch")
class CompatibleModels(RegistryView):
    @extend_schema(
        operation_id="models_compatible",
        parameters=[NAME, LimitFilter],
        responses=_answers(CompatibleModelOutput(many=True)),
    )
    def get(self, request: Request, name: str) -> Response:
        """List the active models that this one can be aligned with, and what the two would exchange."""
        source = queries.get_model(name)
        _checked(LimitFilter, request)
        page = self.paginate_queryset(queries.compatible(source)) or []
        rows = [
            {"name": target.name, "family": target.family, "exchange": queries.exchange_between(source, target)}
            for target in page
        ]
        return self.get_paginated_response(rows)


def _checked(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the query's filters. Raises ValidationError."""
    # A plain dictionary: in a QueryDict, as in a form, an absent boolean would count as false.
    filters = serializer(data=request.query_params.dict())
    filters.is_valid(raise_exception=True)
    return dict(filters.validated_data)
