import json

import pytest
from django.test import Client, override_settings

from latentmas.protocol import errors
from latentmas.protocol.errors import LatentMASError
from latentmas.rest.problems import problem_for
from marketplace.listings.models import ListingVersion
from tests.marketplace import sample

pytestmark = pytest.mark.django_db
ACCEPTS = ["application/json", "text/html", "application/problem+json", "image/png", "nonsense", ""]


def assert_problem(response, status, code):
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert response["LatentMAS-Protocol"] == "LatentMAS/2.0"
    document = response.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"/api/docs#{code}"
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api", 404, "NOT_FOUND"),
        ("/api/nothing/here", 404, "NOT_FOUND"),
        ("/api/w-matrices/nothing", 404, "NOT_FOUND"),
        ("/api/w-matrices/%00", 404, "NOT_FOUND"),
        ("/api/w-matrices/%00/versions/1.0.0%00", 404, "NOT_FOUND"),
        ("/api/w-matrices?source_model=%00", 422, "INVALID_INPUT"),
        ("/api/w-matrices/nothing/versions/1.0.0", 404, "NOT_FOUND"),
        ("/api/w-matrices/nothing/versions/1.0.0/file", 404, "NOT_FOUND"),
        ("/api/w-matrices?source_model=gpt-5000", 404, "MODEL_NOT_SUPPORTED"),
        ("/api/w-matrices?tier=diamond", 422, "INVALID_INPUT"),
        ("/api/w-matrices/best?source_model=a", 422, "INVALID_INPUT"),
        ("/api/w-matrices/version-compatibility?required=1&available=1.0.0", 422, "INVALID_INPUT"),
    ],
)
def test_every_failure_is_a_problem_whatever_the_client_accepts(client, accept, path, status, code):
    assert_problem(client.get(path, headers={"Accept": accept}), status, code)


@pytest.mark.parametrize("accept", ACCEPTS)
def test_an_answer_is_json_whatever_the_client_accepts(client, accept):
    response = client.get("/api/w-matrices", headers={"Accept": accept})
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("tier=diamond", "tier"),
        ("basis=guess", "basis"),
        ("method=magic", "method"),
        ("price_max=-1", "price_max"),
        ("price_max=cheap", "price_max"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("include_simulated=perhaps", "include_simulated"),
        ("sourcModel=gpt-4", "sourc_model"),
        ("cursor=garbage", "cursor"),
        ("cursor=WzEsMl0", "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(client, query, field):
    document = assert_problem(client.get(f"/api/w-matrices?{query}"), 422, "INVALID_INPUT")
    assert document["field"] == field


def test_a_near_spelling_of_a_model_is_suggested(client, load_models):
    load_models("gpt-4")
    document = assert_problem(client.get("/api/w-matrices?source_model=gpt4x"), 404, "MODEL_NOT_SUPPORTED")
    assert "gpt-4" in document["detail"]
    assert document["resolution"] == "Request its addition to the model registry."


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "BAD_REQUEST"),
        ("[]", "application/json", 422, "INVALID_INPUT"),
        ("{}", "application/json", 422, "INVALID_INPUT"),
        ('{"checksum": "md5:1"}', "application/json", 422, "INVALID_INPUT"),
        ('{"checksum": 1}', "application/json", 422, "INVALID_INPUT"),
        ('{"checksum": "a", "more": 1}', "application/json", 422, "INVALID_INPUT"),
        ("checksum=1", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_a_wrong_body_is_a_problem(client, body, content_type, status, code):
    assert_problem(client.post("/api/w-matrices/verify", body, content_type), status, code)


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client):
    response = client.delete("/api/w-matrices")
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in response["Allow"]
    assert_problem(client.post("/api/docs"), 405, "METHOD_NOT_ALLOWED")


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=2048, MAX_FILE_BYTES=4096)
@pytest.mark.parametrize(
    ("content_type", "size", "status"),
    [
        ("application/json", 2049, 413),
        ("application/json", 2048, 400),
        ("application/vnd.safetensors", 4097, 413),
        ("application/vnd.safetensors", 4096, 200),
        ("application/octet-stream", 4097, 413),
    ],
)
def test_a_body_is_limited_before_it_is_parsed(client, content_type, size, status):
    response = client.post("/api/w-matrices/verify", b"x" * size, content_type)
    assert response.status_code == status
    if status == 413:
        document = assert_problem(response, 413, "TOO_LARGE")
        assert document["facts"]["size"] == size


def test_a_body_of_unknown_length_is_refused(client):
    headers = {"Transfer-Encoding": "chunked"}
    assert_problem(
        client.post("/api/w-matrices/verify", b"", "application/json", headers=headers), 411, "LENGTH_REQUIRED"
    )


def test_an_unexpected_failure_is_a_problem_without_details(load_models, own_files):
    load_models(sample.SOURCE, sample.TARGET)
    identifier = sample.make_listing()
    ListingVersion.objects.update(scope="a secret that is no scope")
    damaged = f"/api/w-matrices/{identifier}/versions/1.0.0/certificate"
    response = Client(raise_request_exception=False).get(damaged)
    document = assert_problem(response, 500, "INTERNAL_ERROR")
    assert "secret" not in response.content.decode()
    assert "logged" in document["detail"]


@override_settings(DEBUG=True)
def test_a_wrong_address_is_a_problem_in_debug_mode_too(client):
    assert_problem(client.get("/api/nothing"), 404, "NOT_FOUND")


def test_a_page_outside_the_api_keeps_its_html(client):
    response = client.get("/nothing-here")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")
    assert "LatentMAS-Protocol" not in response


@pytest.mark.parametrize(
    "kind", [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, LatentMASError)]
)
def test_every_error_of_the_protocol_has_a_document(kind):
    response = problem_for(kind("it went wrong", field="x", size=3))
    document = json.loads(response.content)
    assert response.status_code == document["status"] == kind.status
    assert (document["code"], document["field"], document["facts"]) == (kind.code, "x", {"size": 3})


def test_the_service_reports_its_health(client):
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_schema_describes_every_address_of_the_catalogue(client):
    response = client.get("/api/schema", headers={"Accept": "text/html"})
    paths = response.json()["paths"]
    assert "/api/w-matrices/{listing_id}/versions/{version}/file" in paths
    names = {each["name"] for each in paths["/api/w-matrices"]["get"]["parameters"]}
    assert {
        "source_model",
        "target_model",
        "family",
        "tier",
        "basis",
        "method",
        "price_max",
        "limit",
        "cursor",
    } <= names
