"""The outermost middleware: request ids in answers, problems, events and logs; figures by route and not by address."""

import logging
import os
import subprocess
import sys
from dataclasses import asdict

import pytest
from django.http import JsonResponse
from django.test import Client
from django.urls import path
from prometheus_client.parser import text_string_to_metric_families

from latentmas import request_ids
from latentmas.events.types import Metadata
from latentmas.metrics import OF_PROCESS
from latentmas.rest import observing

pytestmark = pytest.mark.django_db
ID = "trace-00000001"
ADDRESS, ROUTE = "/api/models/nobody", "api/models/<path:name>"


def count(method: str, route: str, status: str) -> float:
    labels = {"method": method, "route": route, "status": status}
    return OF_PROCESS.get_sample_value("latentmas_requests_total", labels) or 0.0


def test_the_answer_names_the_given_id_or_a_new_one(client):
    assert client.get("/healthz", headers={"X-Request-ID": ID})["X-Request-ID"] == ID
    made = {client.get("/healthz", headers={"X-Request-ID": "no id"})["X-Request-ID"] for _ in range(2)}
    assert len(made) == 2
    assert request_ids.current() is None


def test_requests_are_counted_by_route_method_and_kind_of_status(client):
    before, timed = count("GET", ROUTE, "4xx"), seconds_counted("GET", ROUTE)
    assert client.get(ADDRESS).status_code == 404
    assert client.get("/api/models/somebody-else").status_code == 404
    assert count("GET", ROUTE, "4xx") == before + 2
    assert seconds_counted("GET", ROUTE) == timed + 2


def seconds_counted(method: str, route: str) -> float:
    return OF_PROCESS.get_sample_value("latentmas_request_seconds_count", {"method": method, "route": route}) or 0.0


def test_what_matches_no_route_is_counted_under_one_name(client):
    before = count("GET", "unmatched", "4xx")
    client.get("/api/secret-alice")
    client.get("/nowhere/at/all")
    assert count("GET", "unmatched", "4xx") == before + 2


def test_an_invented_method_makes_no_series_of_its_own(client):
    before = count("OTHER", ROUTE, "4xx")
    client.generic("BREW", ADDRESS)
    assert count("OTHER", ROUTE, "4xx") == before + 1


def test_metrics_show_routes_and_no_address(client):
    client.get(f"{ADDRESS}?name=alice")
    text = client.get("/metrics").content.decode()
    families = {each.name: each for each in text_string_to_metric_families(text)}
    assert {"latentmas_requests", "latentmas_request_seconds", "latentmas_jobs_open"} <= set(families)
    assert families["latentmas_scrape_database"].samples[0].value == 1
    assert "nobody" not in text
    assert "alice" not in text


def test_metrics_without_the_database_still_count_requests(client, monkeypatch):
    from django.db import OperationalError

    from latentmas.jobs.metrics import JobCollector

    def fail(self):
        raise OperationalError("gone")

    monkeypatch.setattr(JobCollector, "collect", fail)
    response = client.get("/metrics")
    families = {each.name: each for each in text_string_to_metric_families(response.content.decode())}
    assert response.status_code == 200
    assert families["latentmas_scrape_database"].samples[0].value == 0
    assert "latentmas_requests" in families
    assert "latentmas_event_log_head" not in families


def test_a_failure_on_this_side_names_the_id_under_which_it_is_logged(monkeypatch, caplog):
    from latentmas.registry import queries

    def fail(*_arguments, **_options):
        raise RuntimeError("a secret of the machine")

    monkeypatch.setattr(queries, "get_model", fail)
    response = Client(raise_request_exception=False).get(ADDRESS, headers={"X-Request-ID": ID})
    assert response.status_code == 500
    assert response.json()["request_id"] == ID
    assert "secret" not in response.content.decode()
    assert any("a secret" in str(each.exc_info) for each in caplog.records)


def test_a_mistake_of_the_client_needs_no_id(client):
    assert "request_id" not in client.get(ADDRESS).json()


def test_each_request_leaves_one_line_and_probes_none(client, caplog):
    caplog.set_level(logging.INFO, observing.logger.name)
    client.get(ADDRESS)
    client.get("/healthz")
    (line,) = [each for each in caplog.records if each.name == observing.logger.name]
    assert line.getMessage().startswith(f"GET {ROUTE} 404 in ")
    assert (line.status, line.route, line.method) == (404, ROUTE, "GET")


def record(request):
    return JsonResponse(asdict(Metadata(actor="user:1")))


urlpatterns = [path("record", record)]


def test_events_that_a_request_causes_name_it(client, settings):
    settings.ROOT_URLCONF = __name__
    assert client.get("/record", headers={"X-Request-ID": ID}).json()["request_id"] == ID
    assert Metadata(actor="user:1").request_id is None
    with request_ids.bound(ID):
        assert Metadata(actor="user:1", request_id="another-id").request_id == "another-id"


COUNTED = """
import os, django
django.setup()
from django.test import Client
if os.fork() == 0:
    Client().get("/api/secret", headers={"host": "localhost"})
    os._exit(0)
os.wait()
Client().get("/api/secret", headers={"host": "localhost"})
from latentmas import metrics
print(metrics._of_processes().decode())
"""


def test_processes_with_a_common_folder_are_added_up(tmp_path):
    folder = tmp_path / "metrics"
    environment = {"DJANGO_SETTINGS_MODULE": "latentmas.settings", "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    found = subprocess.run(
        [sys.executable, "-c", COUNTED], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert 'latentmas_requests_total{method="GET",route="unmatched",status="4xx"} 2.0' in found.stdout
