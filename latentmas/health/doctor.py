"""Examine a deployment, one check after the other, and say in plain words what is wrong with it."""

from collections.abc import Iterator, Mapping

from latentmas.health import configuration, data, surroundings
from latentmas.health.findings import Check, Finding, Level, wrong
from latentmas.health.probes import PROBES
from latentmas.health.readiness import outcomes

WITHOUT_DATABASE: tuple[Check, ...] = (
    configuration.django_checks,
    configuration.limits,
    configuration.production,
    configuration.web_processes,
    surroundings.disk_space,
    surroundings.weights,
)
# What needs a part is asked only where its probe found it: one cause, one finding.
WITH: Mapping[str, tuple[Check, ...]] = {
    "database": (data.append_only, data.log_head),
    "migrations": (data.clocks,),
    "broker": (surroundings.workers,),
    "storage": (surroundings.writable_storage,),
}


def examine() -> Iterator[Finding]:
    """Yield what every check finds; a check that fails itself is a finding."""
    for check in WITHOUT_DATABASE:
        yield from _findings(check)
    for name, found in outcomes(PROBES).items():
        yield Finding(Level.OK if found.healthy else Level.WRONG, found.what, found.advice)
        for check in WITH[name] if found.healthy else ():
            yield from _findings(check)


def _findings(check: Check) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:  # the examination goes on
        yield wrong(f"the check {check.__name__} failed: {error}", "Repair what the others name, then run it again.")
