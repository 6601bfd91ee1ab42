# Every listing so far is public and its owner's alone; its versions were made here, so no scan concerns them.

from django.db import migrations, models

SPLIT = {"creator": 80, "platform": 15, "validators": 5}


def fill(apps, schema_editor):
    """Give the rows what a rebuild from the log would give them."""
    Listing, Version, Member = (apps.get_model("listings", name) for name in ("Listing", "ListingVersion", "ListingMember"))
    Listing.objects.update(split=SPLIT)
    Version.objects.filter(yanked_at__isnull=False).update(offered=False)
    Member.objects.bulk_create(
        [
            Member(id=f"{row.id}/{row.seller}", listing_id=row.id, agent=row.seller, owner=True, changed_at=row.created_at)
            for row in Listing.objects.only("id", "seller", "created_at").order_by("id").iterator()
        ],
        batch_size=500,
    )


class Migration(migrations.Migration):

    dependencies = [
        ('listings', '0004_measurements'),
    ]

    operations = [
        migrations.CreateModel(
            name='ListingMember',
            fields=[
                ('id', models.CharField(max_length=140, primary_key=True, serialize=False)),
                ('listing_id', models.CharField(max_length=36)),
                ('agent', models.CharField(max_length=100)),
                ('owner', models.BooleanField(default=False)),
                ('role', models.CharField(choices=[('maintainer', 'maintainer'), ('publisher', 'publisher')], max_length=20, null=True)),
                ('request', models.CharField(choices=[('asked', 'Asked'), ('granted', 'Granted'), ('refused', 'Refused')], max_length=10, null=True)),
                ('message', models.TextField(blank=True, help_text='Of the request, or the reason of its refusal.')),
                ('texts', models.JSONField(default=dict)),
                ('changed_at', models.DateTimeField()),
            ],
            options={
                'ordering': ('listing_id', 'changed_at', 'agent'),
            },
        ),
        migrations.CreateModel(
            name='ListingText',
            fields=[
                ('commitment', models.CharField(max_length=71, primary_key=True, serialize=False)),
                ('listing_id', models.CharField(db_index=True, max_length=36)),
                ('text', models.TextField()),
                ('salt', models.CharField(max_length=32)),
            ],
        ),
        migrations.CreateModel(
            name='ObtainedVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('agent', models.CharField(max_length=100)),
                ('version', models.CharField(help_text='<listing>/<version>', max_length=70)),
                ('obtained_at', models.DateTimeField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name='listingversion',
            name='version_pair',
        ),
        migrations.AddField(
            model_name='listing',
            name='access',
            field=models.CharField(choices=[('public', 'public'), ('gated', 'gated'), ('private', 'private')], default='public', max_length=10),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='listing',
            name='aliases',
            field=models.JSONField(default=dict, help_text='Version by alias.'),
        ),
        migrations.AddField(
            model_name='listing',
            name='delisted_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='listing',
            name='quarantined_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='listing',
            name='split',
            field=models.JSONField(default=dict, help_text='Shares of creator, platform and validators in per cent, of later sales.'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='listing',
            name='texts',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='listing',
            name='withheld_reason',
            field=models.TextField(blank=True, help_text='Of the quarantine or the delisting.'),
        ),
        migrations.AddField(
            model_name='listingversion',
            name='access',
            field=models.CharField(choices=[('public', 'public'), ('gated', 'gated'), ('private', 'private')], default='public', help_text='That of its listing.', max_length=10),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='listingversion',
            name='deprecated_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='listingversion',
            name='deprecated_reason',
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name='listingversion',
            name='offered',
            field=models.BooleanField(default=True, help_text='Neither yanked nor withheld, and its scan found nothing against it.'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='listingversion',
            name='publisher',
            field=models.CharField(max_length=100, null=True),
        ),
        migrations.AddField(
            model_name='listingversion',
            name='scan',
            field=models.CharField(choices=[('scanning', 'Scanning'), ('passed', 'Passed'), ('refused', 'Refused')], max_length=10, null=True),
        ),
        migrations.AddField(
            model_name='listingversion',
            name='scan_reasons',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='listingversion',
            name='successor',
            field=models.CharField(max_length=70, null=True),
        ),
        migrations.AddField(
            model_name='listingversion',
            name='texts',
            field=models.JSONField(default=dict),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            model_name='listingversion',
            index=models.Index(models.F('source_model'), models.F('target_model'), models.F('space'), models.F('basis_rank'), models.F('epsilon'), condition=models.Q(('offered', True)), name='version_pair'),
        ),
        migrations.AddIndex(
            model_name='listingmember',
            index=models.Index(models.F('listing_id'), models.F('changed_at'), models.F('agent'), name='member_listing'),
        ),
        migrations.AddIndex(
            model_name='listingmember',
            index=models.Index(models.F('agent'), models.F('listing_id'), name='member_agent'),
        ),
        migrations.AddConstraint(
            model_name='obtainedversion',
            constraint=models.UniqueConstraint(fields=('agent', 'version'), name='obtained_once'),
        ),
    ]
