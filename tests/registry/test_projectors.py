import itertools

import pytest
from django.core.management import CommandError, call_command

from latentmas.events import store
from latentmas.registry import commands
from latentmas.registry.facts import ModelFacts
from latentmas.registry.models import ModelSpelling, RegisteredModel
from latentmas.registry.projectors import project_models
from tests.registry.conftest import CURATOR

pytestmark = pytest.mark.django_db


def rows() -> tuple[list[dict[str, object]], list[tuple[str, str]]]:
    spellings = list(ModelSpelling.objects.order_by("spelling").values_list("spelling", "model"))
    return list(RegisteredModel.objects.order_by("name").values()), spellings


@pytest.fixture
def history(tiny: RegisteredModel) -> None:
    other = ModelFacts(family="Other", open_weights=False, aliases=("fresh",))
    commands.register_model(name="other", facts=other, metadata=CURATOR)
    commands.correct_facts(name="tiny-1b", changes={"aliases": ["small"]}, reason="renamed", metadata=CURATOR)
    commands.correct_facts(name="other", changes={"aliases": ["tiny"]}, reason="took over", metadata=CURATOR)
    commands.change_popularity(name="tiny-1b", popularity=99, metadata=CURATOR)
    commands.deactivate_model(name="other", reason="withdrawn", metadata=CURATOR)


@pytest.mark.usefixtures("history")
def test_events_seen_before_change_nothing() -> None:
    before = rows()
    project_models(store.read_all())
    assert rows() == before


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("size", [1, 2, 100])
def test_replaying_the_log_in_batches_of_any_size_gives_the_same_rows(size: int) -> None:
    before = rows()
    RegisteredModel.objects.all().delete()
    ModelSpelling.objects.all().delete()
    events = iter(store.read_all())
    while batch := list(itertools.islice(events, size)):
        project_models(batch)
    assert rows() == before


@pytest.mark.usefixtures("history")
def test_a_rebuild_finds_no_difference() -> None:
    call_command("rebuild_projections", check=True, projector=["project_models"])


@pytest.mark.usefixtures("history")
def test_a_rebuild_check_finds_a_tampered_row() -> None:
    RegisteredModel.objects.filter(name="other").update(popularity=100)
    with pytest.raises(CommandError, match="differ"):
        call_command("rebuild_projections", check=True, projector=["project_models"])


def test_a_batch_takes_few_queries(loaded: None, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    events = store.read_all()
    RegisteredModel.objects.all().delete()
    ModelSpelling.objects.all().delete()
    with django_assert_max_num_queries(6):  # SQLite writes a batch in several statements
        project_models(events)
    assert RegisteredModel.objects.count() == 74
