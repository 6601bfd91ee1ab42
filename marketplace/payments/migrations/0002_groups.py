from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

SEEN = ("ledger.view_balance", "ledger.view_ledgertransfer", "payments.view_payout", "payments.view_topup")
# What the groups of marketplace.curation may do with money. Rows are never edited: `add` and `change` permit the
# forms and actions that call commands. Certifiers have nothing to do with it.
GROUPS = {
    "curator": (*SEEN, "payments.add_topup", "payments.change_topup", "payments.change_payout"),
    "support": SEEN,
    "auditor": SEEN,
}


def give_permissions(apps, schema_editor):
    """Make the permissions, which Django itself would make only after all migrations, and give them to the groups."""
    group, permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    for label in ("ledger", "payments"):
        create_permissions(installed.get_app_config(label), apps=apps, using=schema_editor.connection.alias, verbosity=0)
    for name, granted in GROUPS.items():
        row = group.objects.get(name=name)
        for app, codename in (each.split(".") for each in granted):
            row.permissions.add(permission.objects.get(content_type__app_label=app, codename=codename))


def take_permissions(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in GROUPS:
        row = group.objects.get(name=name)
        row.permissions.remove(*row.permissions.filter(content_type__app_label__in=("ledger", "payments")))


class Migration(migrations.Migration):

    dependencies = [
        ("curation", "0001_reports_and_groups"),
        ("ledger", "0001_initial"),
        ("payments", "0001_initial"),
    ]

    operations = [migrations.RunPython(give_permissions, take_permissions)]
