"""Checks of the settings: those of Django, and pairs of settings that contradict each other."""

import os
from collections.abc import Iterator

from django.conf import settings
from django.core.checks import ERROR, WARNING, Tags, run_checks
from django.db import connection

from latentmas.health.findings import Finding, note, ok, wrong

ONLY_HERE = {"localhost", "127.0.0.1", "[::1]"}


def django_checks() -> Iterator[Finding]:
    """Pass on what Django's own checks of code and settings find, in production those of a safe deployment too."""
    found = [each for each in run_checks() if each.level >= WARNING]
    if settings.PRODUCTION:
        found += run_checks(tags=[Tags.security], include_deployment_checks=True)
    for each in found:
        make = wrong if each.level >= ERROR else note
        message = " ".join(each.msg.split()).rstrip(".")
        yield make(f"{each.id}: {message}", each.hint or "Django's documentation explains it.")
    if not found:
        yield ok("Django's checks find nothing")


def limits() -> Iterator[Finding]:
    """Compare limits of which the larger one cannot be reached."""
    for name in ("CALIBRATION_PACK_MAX_BYTES", "KV_CACHE_MAX_BYTES"):
        if getattr(settings, name) > settings.MAX_FILE_BYTES:
            yield wrong(
                f"{name} is {getattr(settings, name)}, but no body may be larger than MAX_FILE_BYTES, "
                f"{settings.MAX_FILE_BYTES}",
                f"Raise MAX_FILE_BYTES, or lower {name}.",
            )


def production() -> Iterator[Finding]:
    """Find what works on one machine for one person and not for a service."""
    if not settings.PRODUCTION:
        yield note("ENVIRONMENT is local", "Set ENVIRONMENT=production where others use this server.")
        return
    if set(settings.ALLOWED_HOSTS) <= ONLY_HERE:
        yield wrong(
            "ALLOWED_HOSTS names this machine only: every request from elsewhere is refused",
            "Set ALLOWED_HOSTS to the names under which the server is reached.",
        )


def web_processes() -> Iterator[Finding]:
    """Find what several web processes (gunicorn takes their number from WEB_CONCURRENCY) cannot share."""
    several = os.environ.get("WEB_CONCURRENCY", "1") not in ("", "1")
    if settings.PRODUCTION and connection.vendor == "sqlite":
        what = "the database is SQLite: one writer at a time, on one machine"
        advice = "Use PostgreSQL (DATABASE_URL), or keep to one web process."
        yield wrong(f"{what}, and there are several web processes", advice) if several else note(what, advice)
    if several and not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        yield wrong(
            "there are several web processes, and each scrape of /metrics counts the requests of one of them",
            "Set PROMETHEUS_MULTIPROC_DIR to an empty folder that they share.",
        )
