from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from latentmas.rest.scopes import RESTRICTED, SCOPES
from marketplace.accounts import secrets
from marketplace.accounts.models import ApiToken

pytestmark = pytest.mark.django_db


def test_the_command_prints_nothing_but_the_token(alice):
    out = StringIO()
    call_command("create_token", "alice", stdout=out, stderr=StringIO())
    row = ApiToken.objects.get()
    assert secrets.id_of(out.getvalue().strip()) == row.id
    assert secrets.fits(out.getvalue().strip(), row.secret_sha256)
    assert row.scopes == tuple(sorted(set(SCOPES) - set(RESTRICTED)))


def test_an_unknown_account_is_named(db):
    with pytest.raises(CommandError, match="no account 'bob'"):
        call_command("create_token", "bob")


def test_a_wrong_number_of_days_is_explained(alice):
    with pytest.raises(CommandError, match="between 1 and 730"):
        call_command("create_token", "alice", "--days=0")
