"""Curators and auditors may look at calibration packs, as at everything else that they judge."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GROUPS = ("curator", "auditor")


def permit(apps, schema_editor):
    """Let the groups see packs; Django itself would make the permission only after all migrations."""
    using = schema_editor.connection.alias
    create_permissions(installed.get_app_config("factory"), apps=apps, using=using, verbosity=0)
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(_permission(apps))


def forbid(apps, schema_editor):
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.remove(_permission(apps))


def _permission(apps):
    permissions = apps.get_model("auth", "Permission").objects
    return permissions.get(content_type__app_label="factory", codename="view_calibrationpack")


class Migration(migrations.Migration):

    dependencies = [
        ("curation", "0001_reports_and_groups"),
        ("factory", "0004_private_draw"),
    ]

    operations = [migrations.RunPython(permit, forbid)]
