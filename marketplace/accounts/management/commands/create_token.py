"""Make an API token for an account."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from latentmas.operator_command import OperatorCommand
from latentmas.rest.scopes import SCOPES
from marketplace.accounts.commands import DEFAULT_DAYS, create_token, scopes_of


class Command(OperatorCommand):
    help = "Make an API token for an account and print it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument(
            "--scope",
            action="append",
            dest="scopes",
            choices=list(SCOPES),
            help="may be repeated; default: all that the account may use",
        )
        parser.add_argument("--agent", dest="agent_id", help="id of the account's agent that the token acts for")
        parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help=f"until it expires; default {DEFAULT_DAYS}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print nothing but the token on standard output, so that it can be piped into a file."""
        try:
            owner = User.objects.get(username=options["username"])
            row, token = create_token(
                owner,
                name=options["name"],
                scopes=options["scopes"] or scopes_of(owner),
                days=options["days"],
                agent_id=options["agent_id"],
            )
        except User.DoesNotExist:
            raise CommandError(f"there is no account {options['username']!r}") from None
        self.stderr.write(f"Token {row.id} of {owner.get_username()}, {', '.join(row.scopes)}, until {row.expires_at}:")
        self.stdout.write(token)
