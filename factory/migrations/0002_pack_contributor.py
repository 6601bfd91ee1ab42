from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('factory', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='calibrationpack',
            name='space',
            field=models.CharField(choices=[('kv-cache', 'kv-cache'), ('embedding', 'embedding'), ('realignment', 'realignment')], default='kv-cache', max_length=20),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='calibrationpack',
            name='contributor',
            field=models.CharField(max_length=100, null=True),
        ),
        migrations.AddIndex(
            model_name='calibrationpack',
            index=models.Index(models.F('corpus_digest'), name='pack_corpus'),
        ),
    ]
