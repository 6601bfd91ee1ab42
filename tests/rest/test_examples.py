"""Every example in the OpenAPI document can be sent as it stands."""

import hashlib
import json

import numpy as np
import pytest
from django.test import Client

from latentmas.protocol.vectors import write_vectors
from marketplace.memories.models import StoredMemory
from marketplace.uploads.models import Upload
from tests.rest.fuzzing import headers_for, stocked
from tests.rest.test_schema import DOCUMENT, OPERATIONS

pytestmark = pytest.mark.django_db
VECTORS = write_vectors(np.ones((2, 3), "f4"))
EXAMPLES = [
    (method, path, media_type, example["value"])
    for (method, path), operation in OPERATIONS.items()
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items()
    for example in body.get("examples", {}).values()
]


def named(value, name):
    """How often a key occurs in the document, at any depth."""
    if isinstance(value, list):
        return sum(named(each, name) for each in value)
    if isinstance(value, dict):
        return (name in value) + sum(named(each, name) for each in value.values())
    return 0


def test_there_are_no_examples_but_those_of_bodies():
    assert (named(DOCUMENT, "examples"), named(DOCUMENT, "example")) == (len(EXAMPLES), 0)
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize(("method", "path", "media_type", "value"), EXAMPLES)
def test_an_example_is_carried_out(own_files, method, path, media_type, value):
    stock = stocked()
    client = Client(headers=headers_for(path, stock))
    if "upload" in value:
        upload(client, VECTORS if path == "/api/embeddings" else stock.files[0], identifier=value["upload"])
    for memory in [value, *value.get("segments", [])]:
        if "memory" in memory:
            StoredMemory.objects.filter(id=stock.places["memory_id"][0]).update(id=memory["memory"])
    response = client.generic(method, path, json.dumps(value), media_type)
    assert response.status_code in (200, 201), response.content


def upload(client, data, *, identifier):
    """Send a file, and give the finished upload the id that the example names."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    begun = client.post("/api/uploads", {"size": len(data), "digest": digest}, "application/json").json()
    sent = client.patch(begun["url"], data, "application/octet-stream", headers={"Upload-Offset": "0"})
    assert sent.json()["stored"]
    assert Upload.objects.filter(id=begun["id"]).update(id=identifier) == 1
