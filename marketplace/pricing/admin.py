"""The price configuration in the admin."""

from django.contrib import admin

from marketplace.configurations.pages import ConfigurationAdmin
from marketplace.pricing.commands import PRICING
from marketplace.pricing.models import ConfigurationVersion


@admin.register(ConfigurationVersion)
class ConfigurationVersionAdmin(ConfigurationAdmin):
    configurable = PRICING
