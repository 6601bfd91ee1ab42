"""The price configuration changes by events, and every version of it can be read again."""

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from latentmas.events import store
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput, NotFound
from marketplace.pricing.commands import configure, in_force, of_version
from marketplace.pricing.configuration import BOUNDS, Configuration
from marketplace.pricing.models import ConfigurationVersion

pytestmark = pytest.mark.django_db
BY = Metadata(actor="command:test")


def test_before_any_event_the_specifications_figures_are_in_force() -> None:
    assert (in_force().version, in_force().configuration) == (0, Configuration())
    assert of_version(0) == Configuration()


def test_each_change_is_a_version_and_the_earlier_ones_stay_readable() -> None:
    configure({"token_ceiling": 4096}, metadata=BY)
    configure({"quality_weight": 40}, metadata=BY)
    assert (in_force().version, in_force().configuration) == (2, Configuration(token_ceiling=4096, quality_weight=40))
    assert of_version(1) == Configuration(token_ceiling=4096)
    assert list(ConfigurationVersion.objects.values_list("version", "actor")) == [(2, BY.actor), (1, BY.actor)]
    with pytest.raises(NotFound):
        of_version(3)


def test_the_same_values_again_record_nothing() -> None:
    configure({"token_ceiling": 4096}, metadata=BY)
    assert configure({"token_ceiling": 4096}, metadata=BY) == []


@pytest.mark.parametrize("name", BOUNDS)
def test_a_setting_outside_its_bounds_is_refused(name: str) -> None:
    for wrong in (BOUNDS[name][0] - 1, BOUNDS[name][1] + 1):
        with pytest.raises(InvalidInput) as refused:
            configure({name: wrong}, metadata=BY)
        assert refused.value.facts["field"] == name
    assert store.head_position() == 0


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no setting 'gamma'"):
        configure({"gamma": 1}, metadata=BY)


def test_the_command_configures_and_shows(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("configure_pricing", helper_basis_points=500)
    assert capsys.readouterr().out.startswith("version 1\n")
    with pytest.raises(CommandError, match="discount_percent is 101"):
        call_command("configure_pricing", discount_percent=101)


def test_everybody_may_read_what_is_in_force(client: Client) -> None:
    configure({"hold_seconds": 60}, metadata=BY)
    answer = client.get("/api/pricing")
    assert (answer.json()["version"], answer["ETag"]) == (1, '"1"')
    assert answer.json()["settings"]["hold_seconds"] == 60


def test_a_curator_makes_the_next_version_in_the_admin(client: Client) -> None:
    curator = User.objects.create_user("carol", is_staff=True)
    curator.user_permissions.set(Permission.objects.filter(codename__in=["curate", "view_configurationversion"]))
    client.force_login(curator)
    page = client.get("/admin/pricing/configurationversion/add/")
    values = {name: field.initial for name, field in page.context["adminform"].form.fields.items()}
    assert values["token_ceiling"] == 131_072
    client.post("/admin/pricing/configurationversion/add/", values | {"token_ceiling": 2048})
    assert ConfigurationVersion.objects.get().settings["token_ceiling"] == 2048
    refused = client.post("/admin/pricing/configurationversion/add/", values | {"token_ceiling": 0})
    assert "greater than or equal to 1" in refused.content.decode()
    assert ConfigurationVersion.objects.count() == 1
