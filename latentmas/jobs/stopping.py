"""Let a worker's jobs know at once that it is to stop, also while its main thread is deep in a computation.

Python runs the handler of a signal between two steps of the main thread, and a matrix that is solved there is one step.
The signal's number arrives through a socket in any case, where a thread waits for it.
"""

import signal
import socket
import threading
from typing import Any

from celery.signals import celeryd_after_setup

from latentmas.jobs import working

ENDINGS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


@celeryd_after_setup.connect
def watch(**_: Any) -> None:
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    # The thread holds both ends, so that none is closed.
    threading.Thread(target=_wait, args=(heard, told), name="stopping", daemon=True).start()


def _wait(heard: socket.socket, _told: socket.socket) -> None:
    while number := heard.recv(1):
        if number[0] in ENDINGS:
            working.stop()
            return
