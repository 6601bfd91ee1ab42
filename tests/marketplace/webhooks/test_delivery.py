"""Events on their way to a webhook: signed, in order, until they are taken."""

import json

import pytest
from django.utils import timezone

from latentmas.events import changes
from latentmas.events.store import head_position
from latentmas.jobs.models import Job
from marketplace.agents.commands import Profile, register_agent, suspend_agent
from marketplace.agents.events import AgentRegistered, SuspensionReason
from marketplace.webhooks import delivery
from marketplace.webhooks.commands import create_webhook, replay, rotate_secret
from marketplace.webhooks.delivery import GIVE_UP, viewer_of
from marketplace.webhooks.models import ROTATION, Webhook
from marketplace.webhooks.signing import signature
from marketplace.webhooks.tasks import deliver, reseal
from tests.marketplace.sample import METADATA
from tests.marketplace.webhooks.conftest import TYPES, URL
from tests.work import work

pytestmark = pytest.mark.django_db


def run():
    """Let the schedule's task run and its jobs be done."""
    deliver()
    return list(work())


def sent(remote):
    return [json.loads(asked.body) for asked in remote.asked]


def holds(asked, secret):
    expected = signature(
        secret,
        message_id=asked.headers["webhook-id"],
        timestamp=int(asked.headers["webhook-timestamp"]),
        body=asked.body,
    )
    return expected in asked.headers["webhook-signature"].split(" ")


def test_what_happens_is_sent_signed_and_in_order(made, happen, remote):
    webhook, secret = made
    agents = [happen("first"), happen("second")]
    suspend_agent(agents[0].id, reason=SuspensionReason.FRAUD, metadata=METADATA)
    run()
    first, second, third = sent(remote)
    assert [each["type"] for each in (first, second, third)] == ["agent.registered"] * 2 + ["agent.suspended"]
    assert first["data"] == {"position": 1, "subject": f"agent/{agents[0].id}"}
    assert all(holds(asked, secret) for asked in remote.asked)
    assert not holds(remote.asked[0], "whsec_AAAA")
    assert remote.asked[0].headers["webhook-id"] == f"msg_{webhook.id}_1"
    assert (remote.asked[0].method, remote.asked[0].path) == ("POST", "/latentmas")
    webhook.refresh_from_db()
    assert (webhook.position, webhook.failures) == (3, 0)
    assert webhook.delivered_at is not None


def test_nothing_is_sent_twice_and_nothing_of_before(made, happen, remote):
    happen("first")
    run()
    assert run() == []
    assert len(remote.asked) == 1


def test_no_message_holds_what_a_person_wrote(made, happen, remote):
    happen("secret-handle")
    run()
    assert b"secret-handle" not in remote.asked[0].body


def test_other_types_are_passed_over_without_a_job(alice, happen, remote):
    webhook, _ = create_webhook(alice, url=URL, types=["listing.created"])
    happen("first")
    assert run() == []
    webhook.refresh_from_db()
    assert (webhook.position, remote.asked) == (head_position(), [])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"status": 500}, "it answered 500"),
        ({"status": 302, "headers": {"Location": URL}}, "it answered 302"),
        ({"resolves_to": ["127.0.0.1"]}, "'hooks.example' leads to an address that is not public"),
        ({"resolves_to": ["8.8.8.8", "169.254.169.254"]}, "'hooks.example' leads to an address that is not public"),
    ],
)
def test_what_is_not_taken_is_kept_for_later(made, happen, remote, change, error):
    for name, value in change.items():
        setattr(remote, name, value)
    happen("first")
    happen("second")
    run()
    webhook = Webhook.objects.get()
    assert (webhook.position, webhook.failures, webhook.last_error) == (0, 1, error)
    assert len(remote.asked) == (0 if "resolves_to" in change else 1)
    assert run() == []  # not before the next attempt is due
    remote.status, remote.resolves_to = 204, ["8.8.8.8"]
    Webhook.objects.update(next_attempt_at=timezone.now())
    run()
    webhook.refresh_from_db()
    assert (webhook.position, webhook.failures, webhook.last_error) == (2, 0, "")


def test_an_address_that_was_public_when_the_webhook_was_made_is_checked_at_every_delivery(made, happen, remote):
    happen("first")
    run()
    remote.resolves_to = ["10.0.0.1"]
    happen("second")
    run()
    assert len(remote.asked) == len(remote.connected_to) == 1


def test_the_waits_grow_to_a_limit(made, happen, remote):
    remote.status = 503
    happen("first")
    waits = []
    for _ in range(14):
        Webhook.objects.update(next_attempt_at=None)
        before = timezone.now()
        run()
        waits.append((Webhook.objects.get().next_attempt_at - before).total_seconds())
    assert 8 <= waits[0] <= 13
    assert 16 <= waits[1] <= 25
    assert all(0.8 * 6 * 3600 <= wait <= 1.2 * 6 * 3600 + 1 for wait in waits[12:])


def test_a_webhook_that_takes_nothing_for_days_is_disabled(made, happen, remote):
    remote.status = 500
    happen("first")
    run()
    Webhook.objects.update(next_attempt_at=None, failing_since=timezone.now() - GIVE_UP)
    run()
    webhook = Webhook.objects.get()
    assert (webhook.enabled, webhook.disabled_because) == (False, "it took nothing for 5 days; last: it answered 500")
    Webhook.objects.update(next_attempt_at=None)
    assert run() == []


def test_a_webhook_that_is_gone_is_disabled_at_once(made, happen, remote):
    remote.status = 410
    happen("first")
    run()
    assert Webhook.objects.get().disabled_because == "it answered 410 (gone)"


def test_a_replay_sends_the_same_messages_again(made, alice, happen, remote):
    happen("first")
    happen("second")
    run()
    replay(alice, made[0].id, after=1, expected=1)
    run()
    assert remote.asked[2].headers["webhook-id"] == remote.asked[1].headers["webhook-id"]
    assert remote.asked[2].body == remote.asked[1].body
    assert len(remote.asked) == 3


def test_a_replay_during_a_delivery_is_not_overwritten(made, alice, happen, remote, monkeypatch):
    happen("first")
    happen("second")

    webhook, send = Webhook.objects.get(), delivery._send

    def meanwhile(row, change):
        problem = send(row, change)
        if change.position == 2:
            replay(alice, row.id, after=0, expected=1)
        return problem

    monkeypatch.setattr(delivery, "_send", meanwhile)
    delivery.deliver(webhook)
    assert Webhook.objects.get().position == 0


def test_for_a_day_after_a_rotation_both_secrets_sign(made, alice, happen, remote):
    webhook, former = made
    _, new = rotate_secret(alice, webhook.id, expected=1)
    happen("first")
    run()
    assert holds(remote.asked[0], former)
    assert holds(remote.asked[0], new)
    Webhook.objects.update(rotated_at=timezone.now() - ROTATION)
    happen("second")
    run()
    assert not holds(remote.asked[1], former)
    assert holds(remote.asked[1], new)


def test_a_closed_account_is_sent_nothing(made, alice, happen, remote):
    happen("first")
    deliver()
    alice.is_active = False
    alice.save()
    list(work())
    assert run() == []
    assert not remote.asked


def test_a_slow_webhook_gives_its_worker_back(made, happen, remote, monkeypatch):
    monkeypatch.setattr(delivery, "SECONDS", -1.0)
    happen("first")
    happen("second")
    run()
    assert len(remote.asked) == 1
    run()
    assert len(remote.asked) == 2


def test_its_jobs_are_nobodys_to_see(made, happen, subscriber, remote):
    happen("first")
    run()
    assert Job.objects.count() == 1
    assert subscriber.get("/api/jobs").json()["results"] == []


def test_private_events_are_for_the_agents_that_the_login_acts_for_today(alice, made):
    webhook, _ = made
    mine = [register_agent(alice, Profile(f"mine-{n}", "Mine"), metadata=METADATA) for n in range(2)]
    assert viewer_of(webhook) == {each.id for each in mine}
    suspend_agent(mine[0].id, reason=SuspensionReason.FRAUD, metadata=METADATA)
    assert viewer_of(webhook) == {mine[1].id}
    bound, _ = create_webhook(alice, url=URL, types=TYPES, agent_id=mine[0].id)
    assert viewer_of(bound) == set()


def test_an_event_that_its_app_hides_from_the_viewer_is_not_sent(made, alice, happen, remote, monkeypatch):
    hers = register_agent(alice, Profile("hers", "Hers"), metadata=METADATA)

    def only_own(events, viewer):
        return {each.position: {"private": True} for each in events if each.data.agent_id in viewer}

    monkeypatch.setitem(changes._DESCRIBERS, AgentRegistered, only_own)
    happen("first")
    run()
    (message,) = sent(remote)
    assert message["data"] == {"position": 1, "subject": f"agent/{hers.id}", "private": True}
    assert Webhook.objects.get().position == 2


def test_secrets_move_to_a_new_key_overnight(made, happen, remote, settings):
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key"
    reseal()
    settings.SECRET_KEY_FALLBACKS = []
    happen("first")
    run()
    assert holds(remote.asked[0], made[1])


def test_a_secret_whose_key_is_gone_disables_its_webhook(made, happen, remote, settings):
    settings.SECRET_KEY = "another key"
    reseal()
    happen("first")
    run()
    assert not remote.asked
    assert Webhook.objects.get().disabled_because.startswith("its secret cannot be read")
