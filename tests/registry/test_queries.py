import pytest

from latentmas.protocol.architecture import ModelArchitecture
from latentmas.protocol.errors import InvalidInput, ModelNotSupported
from latentmas.registry import commands, queries
from latentmas.registry.models import RegisteredModel
from tests.registry.conftest import CURATOR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("loaded")]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("gpt-4", "gpt-4"),
        ("gpt-3.5", "gpt-3.5"),
        ("gpt-3.5-turbo", "gpt-3.5"),
        ("llama-3-70b", "llama-3-70b"),
        ("LLaMA-3-70B", "llama-3-70b"),
        ("meta-llama/Meta-Llama-3-70B", "llama-3-70b"),
        ("claude-3-opus", "claude-3-opus"),
        ("bert", "bert"),
        (" google-bert/bert-base-uncased ", "bert"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m"),
        ("qwen2.5-72b", "qwen-2.5-72b"),
    ],
)
def test_a_model_is_found_by_every_spelling(spelling: str, name: str) -> None:
    assert queries.get_model(spelling).name == name


def test_a_near_miss_is_answered_with_a_suggestion() -> None:
    with pytest.raises(ModelNotSupported, match="did you mean 'gemma-3-270m'") as refused:
        queries.get_model("gemma3-270m")
    assert refused.value.facts["suggestion"] == "gemma-3-270m"


@pytest.mark.parametrize("spelling", ["something else entirely", "", "\x00", "é" * 300])
def test_what_is_like_nothing_gets_no_suggestion(spelling: str) -> None:
    with pytest.raises(ModelNotSupported) as refused:
        queries.get_model(spelling)
    assert refused.value.facts["suggestion"] is None


def test_the_architecture_comes_as_a_value() -> None:
    architecture = queries.get_architecture("smollm2-135m")
    assert isinstance(architecture, ModelArchitecture)
    assert architecture.kv_width == 11520


def test_a_deactivated_model_is_refused_only_where_an_active_one_is_needed() -> None:
    commands.deactivate_model(name="gpt-4", reason="withdrawn", metadata=CURATOR)
    assert queries.get_model("gpt-4").name == "gpt-4"
    with pytest.raises(ModelNotSupported, match="deactivated: withdrawn"):
        queries.get_model("gpt-4", require_active=True)


def test_the_list_is_narrowed_by_every_filter() -> None:
    def names(**filters: object) -> set[str]:
        return {model.name for model in queries.list_models(**filters)}  # type: ignore[arg-type]

    commands.deactivate_model(name="llama-2-7b", reason="old", metadata=CURATOR)
    assert len(names()) == 74
    assert len(names(family="meta llama")) == 8
    assert len(names(open_weights=False)) == 14
    assert names(active=False) == {"llama-2-7b"}
    assert names(search="SmolLM2") == {"smollm2-135m"}
    assert names(search="bert-base") == {"bert"}
    assert "llama-2-7b" not in names(role="source")
    assert {"bert", "gpt-4"} <= names(role="target")
    assert names(family="Meta LLaMA", active=True, search="70b") == {"llama-2-70b", "llama-3-70b", "llama-3.1-70b"}


def test_it_rejects_an_unknown_role() -> None:
    with pytest.raises(InvalidInput, match="source, target"):
        queries.list_models(role="teacher")


def test_encoders_exchange_vectors_and_decoders_their_cache() -> None:
    smollm, bert, gemma = map(queries.get_model, ("smollm2-135m", "bert", "gemma-3-270m"))
    assert queries.exchange_between(smollm, gemma) == "kv-cache"
    assert queries.exchange_between(smollm, bert) == "vector"
    assert smollm not in queries.compatible(smollm)
    assert queries.compatible(smollm).count() == RegisteredModel.objects.count() - 1


def test_families_are_listed_once() -> None:
    families = queries.families()
    assert len(families) == len(set(families)) == 18
