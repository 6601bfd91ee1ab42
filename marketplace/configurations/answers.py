"""The answer that shows a configuration: everybody may know by which figures things are decided."""

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from latentmas.rest.conditional import versioned
from marketplace.configurations.configurable import Configurable


class ConfigurationOutput(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="0: as it is before anything was configured.")
    settings = serializers.DictField(child=serializers.IntegerField(), help_text="By name, as its document lists them.")


def configuration_answer(configurable: Configurable[Any]) -> Response:
    """Return what is in force, with its version as ETag."""
    now = configurable.in_force()
    return versioned(Response({"version": now.version, "settings": configurable.values()}), now.version)
