import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.events.models import Event
from latentmas.events.types import Metadata
from latentmas.registry import commands, data_file
from latentmas.registry.aggregate import LOADER
from latentmas.registry.models import RegisteredModel
from tests.registry.conftest import CURATOR

pytestmark = pytest.mark.django_db


def load(path: Path | None = None) -> str:
    out = StringIO()
    call_command("load_registry", **({"file": path} if path else {}), stdout=out)
    return out.getvalue()


def changed(tmp_path: Path, name: str, **values: Any) -> Path:
    """Write the data file anew with some values of one model replaced; `architecture` is merged."""
    document = json.loads(data_file.DEFAULT_FILE.read_text())
    model = next(model for model in document["models"] if model["name"] == name)
    architecture = model["architecture"] | values.pop("architecture", {})
    model |= values | {"architecture": architecture}
    path = tmp_path / "models.json"
    path.write_text(json.dumps(document))
    return path


def test_it_registers_every_model_once() -> None:
    assert load() == "74 models registered, 0 corrected, 0 unchanged\n"
    assert RegisteredModel.objects.count() == Event.objects.count() == 74


def test_a_second_load_changes_nothing_and_asks_once(loaded: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert load() == "0 models registered, 0 corrected, 74 unchanged\n"
    assert len([query for query in queries if "SELECT" in query["sql"]]) == 1
    assert Event.objects.count() == 74


def test_only_the_changed_facts_become_an_event(loaded: None, tmp_path: Path) -> None:
    path = changed(tmp_path, "llama-3-8b", popularity=90, architecture={"max_context": 9000})
    assert load(path) == "0 models registered, 1 corrected, 73 unchanged\n"
    _, popularity, corrected = store.read_stream("model/llama-3-8b")
    assert (popularity.data.old, popularity.data.new) == (87, 90)
    assert [(change.fact, change.old, change.new) for change in corrected.data.changes] == [
        ("architecture.max_context", 8192, 9000)
    ]
    assert corrected.metadata.actor == "command:load_registry"
    assert RegisteredModel.objects.get(name="llama-3-8b").curated == []


def test_what_a_curator_corrected_is_kept_and_reported(loaded: None, tmp_path: Path) -> None:
    commands.correct_facts(
        name="llama-3-8b", changes={"architecture.max_context": 9000}, reason="measured", metadata=CURATOR
    )
    path = changed(tmp_path, "llama-3-8b", family="Llama")
    assert load(path) == (
        "llama-3-8b: kept as a curator decided: architecture.max_context\n"
        "0 models registered, 1 corrected, 73 unchanged\n"
    )
    row = RegisteredModel.objects.get(name="llama-3-8b")
    assert (row.shape.max_context, row.family) == (9000, "Llama")
    assert load(path).endswith("0 models registered, 0 corrected, 74 unchanged\n")


def test_a_curators_popularity_and_deactivation_are_kept(loaded: None) -> None:
    commands.change_popularity(name="bert", popularity=3, metadata=CURATOR)
    commands.deactivate_model(name="bert", reason="no demand", metadata=CURATOR)
    assert "bert: kept as a curator decided: active, popularity" in load()
    row = RegisteredModel.objects.get(name="bert")
    assert (row.popularity, row.active) == (3, False)


def test_a_fact_the_curator_did_not_touch_still_follows_the_file(loaded: None, tmp_path: Path) -> None:
    commands.change_popularity(name="bert", popularity=3, metadata=CURATOR)
    load(changed(tmp_path, "bert", active=False))
    row = RegisteredModel.objects.get(name="bert")
    assert (row.popularity, row.active, row.curated) == (3, False, ["popularity"])


def test_a_model_that_a_curator_registered_is_the_curators(tiny: RegisteredModel, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"models": [{"name": "tiny-1b", "family": "Else", "open_weights": False}]}))
    assert "tiny-1b: kept" in load(path)
    assert RegisteredModel.objects.get(name="tiny-1b").family == "Example"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a registry data file"),
        ("[]", "not a registry data file"),
        ('{"models": [{"name": "Bad Name", "family": "F", "open_weights": true}]}', "Bad Name"),
        ('{"models": [{"name": "a", "open_weights": true}]}', "family"),
        ('{"models": [{"name": "a", "family": "F", "open_weights": true, "colour": 1}]}', "colour"),
        ('{"models": [{"name": "a", "family": "F", "open_weights": true, "popularity": "high"}]}', "popularity"),
        ('{"models": [{"name": "a", "family": "F", "open_weights": true, "popularity": 101}]}', "popularity"),
        (
            '{"models": [{"name": "a", "family": "F", "open_weights": true, "architecture": {"hidden_sise": 1}}]}',
            "hidden_sise",
        ),
        ('{"models": [{"name": "a", "family": "F", "open_weights": true}, "b"]}', "not a registry data file"),
    ],
)
def test_it_rejects_a_broken_file_and_records_nothing(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "models.json"
    path.write_text(content)
    with pytest.raises(CommandError, match=message):
        load(path)
    assert not Event.objects.exists()


def test_it_rejects_a_file_that_names_a_model_twice(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"models": [{"name": "a", "family": "F", "open_weights": True}] * 2}))
    with pytest.raises(CommandError, match="'a' twice"):
        load(path)


def test_one_refused_model_leaves_nothing_of_the_load(tmp_path: Path) -> None:
    models = [
        {"name": "a", "family": "F", "open_weights": True, "aliases": ["shared"]},
        {"name": "b", "family": "F", "open_weights": True, "aliases": ["shared"]},
    ]
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"models": models}))
    with pytest.raises(CommandError, match="'shared' leads to the model 'a'"):
        load(path)
    assert not RegisteredModel.objects.exists()
    assert not Event.objects.exists()


def test_a_load_that_decided_on_an_older_version_overwrites_nothing(loaded: None) -> None:
    stale = RegisteredModel.objects.get(name="bert")
    commands.change_popularity(name="bert", popularity=3, metadata=CURATOR)
    with pytest.raises(VersionConflict):
        data_file._correct(stale, {"popularity": 50}, Metadata(actor=LOADER))
    assert RegisteredModel.objects.get(name="bert").popularity == 3
