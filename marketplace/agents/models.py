"""The projection of agents, and the erasable table of what people wrote about them."""

from django.db import models

MAX_HANDLE = 40
MAX_DISPLAY_NAME = 100
MAX_DESCRIPTION = 4000
MAX_DOMAIN = 253


class Agent(models.Model):
    """An agent's account, written only by projectors.py. Ownership of listings is by its id."""

    id = models.CharField(max_length=36, primary_key=True)
    owner = models.CharField(max_length=40, db_index=True, help_text="The login that acts for it: user:<key>.")
    domain = models.CharField(max_length=MAX_DOMAIN, null=True, db_index=True)  # noqa: DJ001 - None is "not verified"
    verified_at = models.DateTimeField(null=True)
    suspended = models.CharField(max_length=20, null=True, help_text="Why, if it is.")  # noqa: DJ001
    stream_version = models.PositiveIntegerField()
    registered_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("registered_at", "id")

    def __str__(self) -> str:
        return self.id

    @property
    def verified(self) -> bool:
        return self.domain is not None


class AgentProfile(models.Model):
    """Handle, name and description of an agent: an ordinary table, so that they can be erased.

    The stream holds the commitment to them; `salt` opens it.
    """

    agent_id = models.CharField(max_length=36, primary_key=True)
    handle = models.CharField(max_length=MAX_HANDLE, unique=True)
    display_name = models.CharField(max_length=MAX_DISPLAY_NAME)
    description = models.TextField(blank=True)
    salt = models.CharField(max_length=32)

    def __str__(self) -> str:
        return self.handle
