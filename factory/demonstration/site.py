"""What the operator of a site does for the demonstration: serve, do the workers' share, accounts, money."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler, get_internal_wsgi_application

from latentmas.events.types import Metadata
from latentmas.jobs import working
from latentmas.jobs.models import Job, State
from latentmas.transparency import checkpoints
from marketplace.accounts.commands import create_token, revoke_token
from marketplace.artefacts.publication import SCREEN
from marketplace.artefacts.retokenising import RETOKENISE
from marketplace.payments.by_hand import credit_top_up
from marketplace.payments.models import TopUp

METADATA = Metadata(actor="command:market_demo")
TOKEN_LIFE = timedelta(days=1)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what is asked is not the demonstration's output."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve this project from threads of this process on a free port, and yield its address."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), _Quiet)
    server.daemon_threads = True
    server.set_app(get_internal_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def keep_up() -> None:
    """Do what the site's workers and its schedule would: screen what waits, read it in others' tokens, seal the log."""
    for kind in (SCREEN, RETOKENISE):  # the former starts the latter
        _work_off(kind)
    checkpoints.seal(metadata=METADATA)


def _work_off(kind: str) -> None:
    for identifier in Job.objects.filter(kind=kind, state=State.QUEUED).values_list("id", flat=True):
        if (claimed := working.claim(identifier)) is not None:
            working.run(claimed)


def leave_it_to_the_workers() -> None:
    """Do nothing: the site has workers and a schedule of its own."""


@contextmanager
def token_of(username: str, scopes: Sequence[str]) -> Iterator[str]:
    """Yield an API token of an account, which is made where there is none; the token ends with the block."""
    owner, is_new = User.objects.get_or_create(username=username)
    if is_new:
        owner.set_unusable_password()
        owner.save()
    row, token = create_token(owner, name="market_demo", scopes=scopes, days=TOKEN_LIFE.days)
    try:
        yield token
    finally:
        revoke_token(row.id)


def credit(top_up: str) -> None:
    """Credit a top-up that nobody has paid. Raises LatentMASError."""
    reason = "Demonstration: no money came in."
    credit_top_up(TopUp.objects.get(id=top_up), reason=reason, metadata=METADATA)
