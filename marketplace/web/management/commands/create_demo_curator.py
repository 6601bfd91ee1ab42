"""Create the demo curator of a local machine."""

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError

USERNAME = "curator"
GROUP = "curator"  # which a migration makes
PASSWORD_BYTES = 12


class Command(BaseCommand):
    help = "Create the account `curator` with a random password, printed once; an existing one is left alone."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("demo accounts are for local machines; use createsuperuser in production")
        if User.objects.filter(username=USERNAME).exists():
            self.stdout.write(f"The demo account {USERNAME!r} exists; `manage.py changepassword {USERNAME}` resets it.")
            return
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        user = User.objects.create_user(USERNAME, password=password, is_staff=True)
        user.groups.add(Group.objects.get(name=GROUP))
        self.stdout.write(f"Demo account for the admin, shown only now: {USERNAME} / {password}")
