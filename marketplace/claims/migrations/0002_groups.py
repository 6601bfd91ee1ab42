from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEEN = ("claims.view_dispute", "claims.view_acceptance")
# What the groups of marketplace.curation may do with claims. Rows are never edited: `change` permits the actions that
# call commands. Support reads what the parties wrote, and decides nothing. Certifiers have nothing to do with it.
GROUPS = {
    "curator": (*SEEN, "claims.view_disputetext", "claims.change_dispute"),
    "support": (*SEEN, "claims.view_disputetext"),
    "auditor": SEEN,
}


def give_permissions(apps, schema_editor):
    """Make the permissions, which Django itself would make only after all migrations, and give them to the groups."""
    group, permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    create_permissions(installed.get_app_config("claims"), apps=apps, using=schema_editor.connection.alias, verbosity=0)
    for name, granted in GROUPS.items():
        row = group.objects.get(name=name)
        for app, codename in (each.split(".") for each in granted):
            row.permissions.add(permission.objects.get(content_type__app_label=app, codename=codename))


def take_permissions(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in GROUPS:
        row = group.objects.get(name=name)
        row.permissions.remove(*row.permissions.filter(content_type__app_label="claims"))


class Migration(migrations.Migration):

    dependencies = [
        ("curation", "0001_reports_and_groups"),
        ("claims", "0001_initial"),
    ]

    operations = [migrations.RunPython(give_permissions, take_permissions)]
