"""The schedule, the job and the command that ask gateways; and who is told of money."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from latentmas.events.changes import PUBLIC, change_types, read_changes
from latentmas.jobs.handlers import Run, kind_named
from latentmas.jobs.models import Job
from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.money import Money
from marketplace.payments import reconciling
from marketplace.payments.gateways import offered as offering
from marketplace.payments.gateways.interface import Outcome, Payment, Verdict
from marketplace.payments.jobs import ASK
from marketplace.payments.models import TopUp
from marketplace.payments.payout_commands import request_payout
from marketplace.payments.tasks import reconcile
from marketplace.payments.top_up_commands import begin, record_outcome
from tests.marketplace.payments.conftest import CURATOR
from tests.marketplace.payments.test_stateful import Scripted

pytestmark = pytest.mark.django_db


@pytest.fixture
def gateway(monkeypatch):
    """A gateway that is offered beside the manual one."""
    made = Scripted()
    known = offering.offered()
    for place in (offering, reconciling):
        monkeypatch.setattr(place, "offered", lambda: known | {made.name: made})
    return made


@pytest.fixture
def open_ones(agent, gateway):
    """Three top-ups: of the gateway, an unknown one of it, and one that waits for a curator."""
    for name, by in (("open", "scripted"), ("unknown", "scripted"), ("manual", "manual")):
        begin(agent, by, Payment(name, Money(500, "USD")), metadata=CURATOR)
    record_outcome("unknown", Outcome(Verdict.UNKNOWN), metadata=CURATOR)
    TopUp.objects.update(requested_at=timezone.now() - 2 * reconciling.PATIENCE)


def said() -> str:
    out = StringIO()
    call_command("reconcile_payments", stdout=out)
    return out.getvalue()


def test_the_command_asks_about_what_a_gateway_can_tell(gateway, open_ones, held):
    gateway.silent = True
    assert said() == "2 unknown\n"
    gateway.silent = False
    gateway.paid |= {"open"}
    assert said() == "1 credited\n1 requested\n"
    assert held() == 500
    gateway.paid |= {"unknown"}
    assert (said(), said(), held()) == ("1 credited\n", "No top-up is open.\n", 1000)


def test_a_top_up_with_a_problem_stops_no_other(gateway, open_ones, held, monkeypatch):
    gateway.paid |= {"open", "unknown"}
    right = gateway.ask

    def ask(payment):
        if payment.top_up_id == "open":
            return Outcome(Verdict.PAID, "ref", received=Money(1, "USD"))
        return right(payment)

    monkeypatch.setattr(gateway, "ask", ask)
    assert said() == "1 PAYMENT_MISMATCH\n1 credited\n"
    assert held() == 500


def test_a_new_top_up_is_left_to_its_request(agent, gateway):
    begin(agent, "scripted", Payment("new", Money(500, "USD")), metadata=CURATOR)
    assert said() == "No top-up is open.\n"


def test_the_schedule_starts_one_job_for_each(gateway, open_ones, held, django_capture_on_commit_callbacks):
    for _ in range(2):
        reconcile()
    jobs = Job.objects.order_by("requested_by")
    assert [(job.kind, job.requested_by) for job in jobs] == [(ASK, "top-up:open"), (ASK, "top-up:unknown")]
    gateway.paid |= {"open"}
    for _ in range(2):  # a worker that has died lets a job run twice
        run = Run(jobs[0].id, jobs[0].arguments, jobs[0].requested_by, lambda *_: None, lambda *_: [])
        assert kind_named(ASK).handle(run) == {"top_up": "open", "status": "credited"}
    assert held() == 500


def test_only_its_agent_is_told_of_money(agent, funded, other_agent):
    request_payout(agent, Money(10, "USD"), destination="DE02", metadata=CURATOR)
    other, _ = other_agent("bob")
    types = [name for name in change_types() if name.startswith(("top_up.", "payout.", "ledger."))]
    assert len(types) == 13

    def told(viewer):
        return [change.type for change in read_changes(after=0, types=types, viewer=viewer).changes]

    assert told(PUBLIC) == told(frozenset({other})) == []
    assert told(frozenset({agent.id})) == ["top_up.requested", "top_up.credited", "payout.requested"]


def test_every_problem_says_what_to_do():
    from marketplace.payments import errors

    ours = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, LatentMASError)]
    assert all(each.resolution for each in ours if each.__module__ == errors.__name__)
