# Certificates from before are of no evaluation suite, so their scope stays null.

from django.db import migrations, models

HELP = "Where the certificate holds; null where no suite was measured."


class Migration(migrations.Migration):
    dependencies = [("listings", "0002_space")]

    operations = [
        migrations.AddField("listing", "scope", models.JSONField(help_text=HELP, null=True)),
        migrations.AddField("listingversion", "scope", models.JSONField(help_text=HELP, null=True)),
    ]
