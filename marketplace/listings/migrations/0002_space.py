# Every W-Matrix listed so far maps KV-caches; the default is for those rows alone.

from django.db import migrations, models
from django.db.models import Q

SPACES = [("kv-cache", "kv-cache"), ("embedding", "embedding"), ("realignment", "realignment")]


class Migration(migrations.Migration):
    dependencies = [("listings", "0001_initial")]

    operations = [
        migrations.AddField(
            "listing",
            "space",
            models.CharField(choices=SPACES, default="kv-cache", max_length=20),
            preserve_default=False,
        ),
        migrations.AddField("listing", "top1", models.FloatField(null=True)),
        migrations.AddField("listing", "top1_low", models.FloatField(null=True)),
        migrations.AddField("listing", "top1_high", models.FloatField(null=True)),
        migrations.AddField(
            "listingversion",
            "space",
            models.CharField(choices=SPACES, default="kv-cache", max_length=20),
            preserve_default=False,
        ),
        migrations.RemoveIndex("listingversion", "version_pair"),
        migrations.AddIndex(
            "listingversion",
            models.Index(
                "source_model",
                "target_model",
                "space",
                "basis_rank",
                "epsilon",
                name="version_pair",
                condition=Q(yanked_at__isnull=True),
            ),
        ),
    ]
