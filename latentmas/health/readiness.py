"""Run probes side by side, each in a thread of its own, and wait for none longer than two seconds."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import connections

from latentmas.health.probes import Unhealthy

PATIENCE_SECONDS = 2.0
SLOW_ADVICE = "Look at the network between here and there, and at its load."

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a probe found; `advice` is what to do where the part cannot be used."""

    healthy: bool
    what: str
    advice: str = ""


class _Attempt(threading.Thread):
    """One call of a probe. A daemon: it may hang for as long as its part does, and must not hold up the exit."""

    def __init__(self, name: str, probe: Callable[[], str]) -> None:
        super().__init__(name=f"probe-{name}", daemon=True)
        self._probe = probe
        self.outcome: Outcome | None = None

    def run(self) -> None:
        try:
            self.outcome = Outcome(True, self._probe())
        except Unhealthy as error:
            logger.warning("%s: %s", error, error.__cause__ or error.advice)
            self.outcome = Outcome(False, str(error), error.advice)
        except Exception as error:
            logger.exception("the probe %s failed", self.name)
            self.outcome = Outcome(False, f"it could not be tried ({type(error).__name__})", "The log says more.")
        finally:
            connections.close_all()


_running: dict[str, _Attempt] = {}  # a probe that hangs is waited for, not started again: threads would pile up


def outcomes(probes: Mapping[str, Callable[[], str]], *, patience: float = PATIENCE_SECONDS) -> dict[str, Outcome]:
    """Return what every probe found; one that has not answered in time counts as unhealthy."""
    attempts = {name: _started(name, probe) for name, probe in probes.items()}
    until = time.monotonic() + patience
    for each in attempts.values():
        each.join(max(0.0, until - time.monotonic()))
    return {name: each.outcome or _late(name, patience) for name, each in attempts.items()}


def _late(name: str, patience: float) -> Outcome:
    return Outcome(False, f"{name}: no answer within {patience:g} seconds", SLOW_ADVICE)


def _started(name: str, probe: Callable[[], str]) -> _Attempt:
    before = _running.get(name)
    if before is not None and before.is_alive():
        return before
    _running[name] = _Attempt(name, probe)
    _running[name].start()
    return _running[name]
