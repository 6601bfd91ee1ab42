"""How scores and bonuses come about is on record, and what makes no sense together is refused."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from latentmas.events import store
from latentmas.events.types import Metadata
from latentmas.protocol.errors import InvalidInput
from marketplace.configurations.configurable import Configurable
from marketplace.reputation.configuration import CreditConfiguration
from marketplace.reputation.configurations import CREDIT, INCENTIVES
from marketplace.reputation.incentives import Incentives
from marketplace.reputation.models import CreditConfigurationVersion, IncentivesVersion

pytestmark = pytest.mark.django_db
BY = Metadata(actor="command:test")


def test_before_any_event_scores_are_as_documented_and_bonuses_are_off() -> None:
    assert CREDIT.in_force().configuration == CreditConfiguration()
    assert (INCENTIVES.in_force().version, INCENTIVES.in_force().configuration) == (0, Incentives())
    assert [Incentives().quality_percent, Incentives().first_purchases_percent, Incentives().volume_percent] == [0] * 3


def test_each_change_is_a_version_with_a_row() -> None:
    CREDIT.configure({"quality_weight": 30, "sold_weight": 25}, metadata=BY)
    INCENTIVES.configure({"volume_percent": 20}, metadata=BY)
    assert CREDIT.of_version(1).sold_weight == 25
    assert CreditConfigurationVersion.objects.get().settings["quality_weight"] == 30
    assert IncentivesVersion.objects.get().settings["volume_percent"] == 20


@pytest.mark.parametrize(
    ("configurable", "changed", "why"),
    [
        (CREDIT, {"quality_weight": 36}, "the weights make 101 per cent"),
        (CREDIT, {"grade_a": 780}, "each must begin below the one before"),
        (CREDIT, {"grade_c": 299}, "grade_c is 299"),
        (CREDIT, {"prior_reviews": 0}, "prior_reviews is 0"),
        (CREDIT, {"charm": 1}, "no setting 'charm'"),
        (INCENTIVES, {"quality_percent": 60, "volume_percent": 41}, "give back 101 per cent"),
        (INCENTIVES, {"first_purchases": 0}, "first_purchases is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(configurable: Configurable[Any], changed: dict[str, int], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        configurable.configure(changed, metadata=BY)
    assert store.head_position() == 0


def test_the_commands_configure_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("configure_credit", prior_reviews=20)
    call_command("configure_bonuses", quality_percent=50)
    shown = capsys.readouterr().out
    assert ("version 1\nquality_weight 35\n" in shown, "quality_percent 50\n" in shown) == (True, True)
    with pytest.raises(CommandError, match="the weights make 101"):
        call_command("configure_credit", created_weight=16)


def test_everybody_may_read_which_bonuses_there_are(client: Client) -> None:
    INCENTIVES.configure({"volume_percent": 20}, metadata=BY)
    answer = client.get("/api/bonuses")
    assert (answer.json()["version"], answer["ETag"], answer.json()["settings"]["volume_percent"]) == (1, '"1"', 20)


def test_a_curator_sees_in_the_form_why_settings_are_refused(client: Client) -> None:
    curator = User.objects.create_user("carol", is_staff=True)
    named = ["curate", "view_creditconfigurationversion"]
    curator.user_permissions.set(Permission.objects.filter(codename__in=named))
    client.force_login(curator)
    page = "/admin/reputation/creditconfigurationversion/add/"
    values = {name: field.initial for name, field in client.get(page).context["adminform"].form.fields.items()}
    refused = client.post(page, values | {"sold_weight": 30})
    assert "the weights make 110 per cent; together they must make 100" in refused.content.decode()
    assert not CreditConfigurationVersion.objects.exists()
    client.post(page, values | {"prior_reviews": 25})
    assert CreditConfigurationVersion.objects.get().settings["prior_reviews"] == 25
