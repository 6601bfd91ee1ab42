"""Every JSON answer has exactly the members that the OpenAPI document says of it."""

import json
from typing import Any

import numpy as np
import pytest
from django.test import Client
from rest_framework.serializers import BaseSerializer, ListSerializer, Serializer

from kvcache import answers
from kvcache.models import CodecProfile
from tests.kvcache.test_api_reading import published, ran

pytestmark = pytest.mark.django_db
BASE = "/api/kv-cache"
MODEL = {"model_name": "smollm2-135m"}
KEYS = np.random.default_rng(0).normal(size=(40, 8)).round(3).tolist()
ARRAYS = {"model_name": "gpt-4", "keys": KEYS, "values": KEYS, "queries": KEYS[:4]}
ESTIMATE = MODEL | {"tokens": 100}


def agrees(described: BaseSerializer[Any], said: Any) -> None:
    """Fail where an answer lacks a required member, has an undescribed one, or null where none is allowed."""
    if isinstance(described, ListSerializer):
        for each in said:
            agrees(described.child, each)
    elif isinstance(described, Serializer):
        required = {name for name, field in described.fields.items() if field.required}
        assert required <= set(said) <= set(described.fields), described
        for name, value in said.items():
            field = described.fields[name]
            assert value is not None or field.allow_null, name
            if value is not None and isinstance(field, BaseSerializer):
                agrees(field, value)


def posted(api: Client, what: str, body: dict[str, Any]) -> dict[str, Any]:
    response = api.post(f"{BASE}/{what}", json.dumps(body), "application/json")
    assert response.status_code in (200, 201), response.content
    return dict(response.json())


def test_what_computes_answers_as_described(api):
    compressed = posted(api, "compress", ARRAYS)
    file = {"compressed": compressed["compressed"]}
    agrees(answers.CompressionOutput(), compressed)
    agrees(answers.SnapshotOutput(), posted(api, "decompress", file))
    agrees(answers.ValidationOutput(), posted(api, "validate-quality", ARRAYS | file))
    agrees(answers.MeasurementOutput(), posted(api, "benchmark", ARRAYS | {"repetitions": 1}))
    agrees(answers.StreamOutput(), posted(api, "streams", MODEL))


@pytest.mark.parametrize(
    ("address", "described"),
    [
        ("models", answers.AdaptersOutput),
        ("models/smollm2-135m", answers.AdapterOutput),
        ("models/gpt-4", answers.AdapterOutput),
        ("profiles", answers.ProfilesOutput),
        ("statistics", answers.CompressionStatisticsOutput),
    ],
)
def test_what_anybody_may_read_is_answered_as_described(api, address, described):
    published()
    ran()
    agrees(described(), api.get(f"{BASE}/{address}").json())


def test_an_estimate_is_answered_as_described_whatever_it_rests_on(api):
    ran()
    by_runs = posted(api, "estimate-savings", ESTIMATE)
    by_arithmetic = posted(api, "estimate-savings", ESTIMATE | {"method": "select", "max_tokens": 50})
    published()
    by_curve = posted(api, "estimate-savings", ESTIMATE)
    documents = (by_runs, by_arithmetic, by_curve)
    assert [document["rests_on"] for document in documents] == ["runs", "nothing", "profile"]
    for document in documents:
        agrees(answers.EstimateOutput(), document)
    assert by_curve["profile"] == CodecProfile.objects.get().digest
