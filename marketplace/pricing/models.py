"""The projection of the price configuration's versions."""

from marketplace.configurations.rows import ConfigurationRow


class ConfigurationVersion(ConfigurationRow):
    """One version of the price configuration."""

    class Meta(ConfigurationRow.Meta):
        verbose_name = "price configuration"
