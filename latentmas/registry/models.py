"""Projections of the registry, written only by projectors.py."""

from django.db import models

from latentmas.protocol.architecture import ModelArchitecture, parse_architecture
from latentmas.registry.facts import MAX_NAME, MAX_TEXT, Licence, ModelFacts, parse_facts


class RegisteredModel(models.Model):
    """One model. Everything a page or filter needs is a column; `architecture` holds all published facts."""

    name = models.CharField(max_length=MAX_NAME, primary_key=True)
    family = models.CharField(max_length=MAX_TEXT, db_index=True)
    open_weights = models.BooleanField()
    hub_id = models.CharField(max_length=MAX_NAME, null=True)  # noqa: DJ001 - None is "none published"
    aliases = models.JSONField()
    licence_name = models.CharField(max_length=MAX_TEXT, null=True)  # noqa: DJ001 - None is "not confirmed"
    licence_url = models.CharField(max_length=MAX_TEXT, null=True)  # noqa: DJ001
    architecture = models.JSONField()
    price_tier = models.CharField(max_length=20, null=True)  # noqa: DJ001 - None is "not known"
    attention_threshold = models.FloatField()
    popularity = models.PositiveSmallIntegerField(null=True)
    active = models.BooleanField()
    inactive_reason = models.TextField(blank=True)

    attention_type = models.CharField(max_length=20, null=True)  # noqa: DJ001 - None is "not published"
    has_kv_cache = models.BooleanField()
    kv_width = models.PositiveIntegerField(null=True)
    latent_dimension = models.PositiveIntegerField(null=True)
    search_text = models.TextField(help_text="Every spelling in lower case, one a line.")

    curated = models.JSONField(help_text="Names of the facts that a curator decided; load_registry keeps them.")
    version = models.PositiveIntegerField(help_text="Version of the stream model/<name>.")
    registered_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("name",)
        verbose_name = "model"

    def __str__(self) -> str:
        return self.name

    @property
    def licence(self) -> Licence | None:
        return None if self.licence_name is None else Licence(self.licence_name, self.licence_url)

    @property
    def shape(self) -> ModelArchitecture:
        """The architecture as a value for exchange and compression."""
        return parse_architecture(self.architecture)

    def facts(self) -> ModelFacts:
        """Return the facts as the commands take them."""
        licence = None if self.licence_name is None else {"name": self.licence_name, "url": self.licence_url}
        document = {
            name: getattr(self, name)
            for name in (
                "family",
                "open_weights",
                "hub_id",
                "aliases",
                "architecture",
                "price_tier",
                "attention_threshold",
            )
        }
        return parse_facts(document | {"licence": licence})


class ModelSpelling(models.Model):
    """Every spelling that leads to a model, its own name among them; the key keeps two models from sharing one."""

    spelling = models.CharField(max_length=MAX_NAME, primary_key=True)
    model = models.CharField(max_length=MAX_NAME, db_index=True)
