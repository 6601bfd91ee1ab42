from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('factory', '0002_pack_contributor'),
    ]

    operations = [
        migrations.AddField(
            model_name='calibrationpack',
            name='refused',
            field=models.TextField(null=True),
        ),
    ]
