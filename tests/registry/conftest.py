import pytest

from latentmas.events.types import Metadata
from latentmas.protocol.architecture import ModelArchitecture, Rope
from latentmas.registry import commands, data_file
from latentmas.registry.facts import Licence, ModelFacts
from latentmas.registry.models import RegisteredModel

CURATOR = Metadata(actor="user:7")


@pytest.fixture
def facts() -> ModelFacts:
    return ModelFacts(
        family="Example",
        open_weights=True,
        hub_id="example/Tiny-1B",
        aliases=("tiny",),
        licence=Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
        architecture=ModelArchitecture(
            hidden_size=64,
            num_layers=2,
            num_attention_heads=4,
            num_kv_heads=2,
            head_dim=16,
            position_encoding="rope",
            attention_type="full",
            rope=Rope(theta=1e4, layout="half"),
        ),
        price_tier="compact",
    )


@pytest.fixture
def tiny(db: None, facts: ModelFacts) -> RegisteredModel:
    """A model that a curator registered; its stream is at version 1."""
    commands.register_model(name="tiny-1b", facts=facts, popularity=40, metadata=CURATOR)
    return RegisteredModel.objects.get(name="tiny-1b")


@pytest.fixture
def loaded(db: None) -> None:
    """The registry as the data file fills it."""
    data_file.load(data_file.read_entries())
