import dataclasses

import pytest

from latentmas.events import store
from latentmas.events.errors import VersionConflict
from latentmas.protocol.errors import Conflict, InvalidInput, ModelNotSupported
from latentmas.registry import commands
from latentmas.registry.events import FactChange, ModelDeactivated, ModelFactsCorrected, ModelPopularityChanged
from latentmas.registry.facts import ModelFacts
from latentmas.registry.models import ModelSpelling, RegisteredModel
from tests.registry.conftest import CURATOR

pytestmark = pytest.mark.django_db


def test_a_registered_model_has_a_row_and_its_spellings(tiny: RegisteredModel) -> None:
    assert (tiny.family, tiny.active, tiny.popularity, tiny.version) == ("Example", True, 40, 1)
    assert (tiny.kv_width, tiny.latent_dimension) == (2 * 2 * 2 * 16, 64)
    assert tiny.registered_at == store.read_stream("model/tiny-1b")[0].recorded_at
    assert set(ModelSpelling.objects.values_list("spelling", "model")) == {
        ("tiny-1b", "tiny-1b"),
        ("example/tiny-1b", "tiny-1b"),
        ("tiny", "tiny-1b"),
    }


def test_facts_survive_the_log_and_the_projection(tiny: RegisteredModel, facts: ModelFacts) -> None:
    assert tiny.facts() == facts
    assert store.read_stream("model/tiny-1b")[0].data.facts == facts


@pytest.mark.parametrize("name", ["", "Tiny", "tiny 1b", "tiny/1b", "-tiny", "tiny..1b", "tiny_1b", "t" * 101, "tiné"])
def test_it_rejects_a_malformed_name(facts: ModelFacts, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        commands.register_model(name=name, facts=facts, metadata=CURATOR)
    assert refused.value.facts["field"] == "name"
    assert not RegisteredModel.objects.exists()


def test_it_rejects_a_second_registration(tiny: RegisteredModel, facts: ModelFacts) -> None:
    with pytest.raises(Conflict, match="registered already"):
        commands.register_model(name="tiny-1b", facts=facts, metadata=CURATOR)
    assert store.stream_version("model/tiny-1b") == 1


@pytest.mark.parametrize("aliases", [("TINY",), ("tiny-1b",), ("Example/tiny-1B",)])
def test_it_rejects_an_alias_that_leads_elsewhere(tiny: RegisteredModel, aliases: tuple[str, ...]) -> None:
    other = ModelFacts(family="Other", open_weights=False, aliases=aliases)
    with pytest.raises(Conflict, match="leads to the model 'tiny-1b'"):
        commands.register_model(name="other", facts=other, metadata=CURATOR)
    assert not RegisteredModel.objects.filter(name="other").exists()


def test_it_rejects_a_name_that_is_another_models_alias(tiny: RegisteredModel) -> None:
    with pytest.raises(Conflict) as refused:
        commands.register_model(name="tiny", facts=ModelFacts(family="Other", open_weights=False), metadata=CURATOR)
    assert refused.value.facts["field"] == "name"


def test_a_spelling_taken_between_the_look_and_the_write_is_a_conflict(
    tiny: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_refuse_taken", lambda name, wanted: None)  # as if the other came just after
    with pytest.raises(Conflict, match="at the same moment"):
        commands.register_model(
            name="other", facts=ModelFacts(family="Other", open_weights=False, aliases=("tiny",)), metadata=CURATOR
        )
    assert store.stream_version("model/other") == 0
    assert not RegisteredModel.objects.filter(name="other").exists()


def test_a_spelling_can_move_to_another_model_once_it_is_free(tiny: RegisteredModel) -> None:
    commands.correct_facts(name="tiny-1b", changes={"aliases": []}, reason="too general", metadata=CURATOR)
    other = ModelFacts(family="Other", open_weights=False, aliases=("tiny",))
    commands.register_model(name="other", facts=other, metadata=CURATOR)
    assert ModelSpelling.objects.get(spelling="tiny").model == "other"


def test_a_correction_records_only_what_changed(tiny: RegisteredModel) -> None:
    changes = {"family": "Example", "architecture.hidden_size": 128, "attention_threshold": 0.95}
    commands.correct_facts(name="tiny-1b", changes=changes, reason="the model card", metadata=CURATOR)
    assert store.read_stream("model/tiny-1b")[-1].data == ModelFactsCorrected(
        changes=(FactChange("architecture.hidden_size", 64, 128), FactChange("attention_threshold", "0.9", "0.95")),
        reason="the model card",
    )
    row = RegisteredModel.objects.get(name="tiny-1b")
    assert (row.shape.hidden_size, row.latent_dimension, row.attention_threshold, row.version) == (128, 128, 0.95, 2)


def test_a_correction_of_nothing_is_no_event(tiny: RegisteredModel, facts: ModelFacts) -> None:
    changes = {"family": facts.family, "aliases": ["tiny"], "architecture.rope": {"theta": 10000, "layout": "half"}}
    assert commands.correct_facts(name="tiny-1b", changes=changes, reason="none", metadata=CURATOR) == []
    assert store.stream_version("model/tiny-1b") == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"architecture.hidden_sise": 1}, "architecture.hidden_sise"),
        ({"architecture.hidden_size": "wide"}, "architecture.hidden_size"),
        ({"architecture.num_kv_heads": 3}, "num_kv_heads"),
        ({"architecture.rope": {"theta": 1, "tetha": 2}}, "architecture.rope.tetha"),
        ({"attention_threshold": 1.5}, "attention_threshold"),
        ({"family": " "}, "family"),
        ({"price_tier": "huge"}, "price_tier"),
        ({"aliases": ["a b"]}, "aliases"),
        ({"aliases": ["same", "SAME"]}, "aliases"),
        ({"licence": {"name": "X", "url": "javascript:alert(1)"}}, "licence.url"),
    ],
)
def test_it_rejects_a_correction_that_cannot_be_right(
    tiny: RegisteredModel, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        commands.correct_facts(name="tiny-1b", changes=changes, reason="a try", metadata=CURATOR)
    assert refused.value.facts["field"] == field
    assert store.stream_version("model/tiny-1b") == 1


def test_it_rejects_a_writer_who_has_not_seen_the_last_version(tiny: RegisteredModel) -> None:
    commands.change_popularity(name="tiny-1b", popularity=41, metadata=CURATOR)
    with pytest.raises(VersionConflict):
        commands.correct_facts(name="tiny-1b", changes={"family": "New"}, reason="late", metadata=CURATOR, expected=1)
    assert RegisteredModel.objects.get(name="tiny-1b").family == "Example"


def test_popularity_changes_only_when_it_differs(tiny: RegisteredModel) -> None:
    assert commands.change_popularity(name="tiny-1b", popularity=40, metadata=CURATOR) == []
    commands.change_popularity(name="tiny-1b", popularity=None, reason="never counted", metadata=CURATOR)
    assert store.read_stream("model/tiny-1b")[-1].data == ModelPopularityChanged(40, None, "never counted")
    assert RegisteredModel.objects.get(name="tiny-1b").popularity is None


@pytest.mark.parametrize("popularity", [-1, 101])
def test_it_rejects_a_popularity_outside_its_range(tiny: RegisteredModel, popularity: int) -> None:
    with pytest.raises(InvalidInput):
        commands.change_popularity(name="tiny-1b", popularity=popularity, metadata=CURATOR)


def test_a_model_is_deactivated_and_activated_with_a_reason(tiny: RegisteredModel) -> None:
    commands.deactivate_model(name="tiny-1b", reason=" withdrawn ", metadata=CURATOR)
    row = RegisteredModel.objects.get(name="tiny-1b")
    assert (row.active, row.inactive_reason) == (False, "withdrawn")
    assert commands.deactivate_model(name="tiny-1b", reason="again", metadata=CURATOR) == []
    assert store.read_stream("model/tiny-1b")[-1].data == ModelDeactivated("withdrawn")
    commands.activate_model(name="tiny-1b", reason="back", metadata=CURATOR)
    row = RegisteredModel.objects.get(name="tiny-1b")
    assert (row.active, row.inactive_reason) == (True, "")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_it_rejects_a_deactivation_without_a_proper_reason(tiny: RegisteredModel, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        commands.deactivate_model(name="tiny-1b", reason=reason, metadata=CURATOR)
    assert refused.value.facts["field"] == "reason"


def test_every_command_refuses_an_unknown_model() -> None:
    for command, values in [
        (commands.correct_facts, {"changes": {"family": "X"}, "reason": "r"}),
        (commands.change_popularity, {"popularity": 1}),
        (commands.activate_model, {"reason": "r"}),
        (commands.deactivate_model, {"reason": "r"}),
    ]:
        with pytest.raises(ModelNotSupported):
            command(name="nobody", metadata=CURATOR, **values)  # type: ignore[operator]


def test_facts_cannot_be_changed_in_place(facts: ModelFacts) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.family = "Other"  # type: ignore[misc]
