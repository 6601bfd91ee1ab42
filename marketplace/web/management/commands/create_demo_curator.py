"""Create the demo curator of a local machine."""

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.management.base import BaseCommand, CommandError

USERNAME = "curator"
GROUP = "curators"
PASSWORD_BYTES = 12
# What a curator may do beside looking: add and correct models, certify and yank versions.
CHANGES = ("add_registeredmodel", "change_registeredmodel", "change_listing", "change_listingversion")
APPS = ("events", "jobs", "registry", "kvcache", "listings", "factory")


class Command(BaseCommand):
    help = "Create the account `curator` with a random password, printed once; an existing one is left alone."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("demo accounts are for local machines; use createsuperuser in production")
        curators, _ = Group.objects.get_or_create(name=GROUP)
        ours = Permission.objects.filter(content_type__app_label__in=APPS)
        curators.permissions.set(ours.filter(codename__startswith="view_") | ours.filter(codename__in=CHANGES))
        if User.objects.filter(username=USERNAME).exists():
            self.stdout.write(f"The demo account {USERNAME!r} exists; `manage.py changepassword {USERNAME}` resets it.")
            return
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        user = User.objects.create_user(USERNAME, password=password, is_staff=True)
        user.groups.add(curators)
        self.stdout.write(f"Demo account for the admin, shown only now: {USERNAME} / {password}")
