"""The market's demonstration over HTTP on real models: what is sold, paid, delivered, answered and proved.

The W-Matrix is the distilled map that comes with the project. Its certificate's figures are the tests', not measured:
measuring it takes half an hour.
"""

from io import BytesIO, StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from factory.demonstration.market import BOUGHT
from factory.demonstration.show import NOTHING, TEXT
from factory.distillation.maps import find_map
from factory.management.commands import market_demo
from factory.recipes.assembly import Origin, assemble
from factory.runners import model as runners
from factory.runners.model import RunningModel
from latentmas.jobs.models import Job
from latentmas.protocol.quality import Basis, ModelIdentity
from latentmas.protocol.w_matrix import QualityMetrics, TokenAlignment
from latentmas.transparency.models import Checkpoint
from marketplace.accounts.models import ApiToken
from marketplace.artefacts.models import Artefact
from marketplace.ledger.models import Balance
from marketplace.listings.commands import certify_version, create_listing
from marketplace.sales.models import Sale
from tests.marketplace import sample

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("registry", "blobs_folder")]
QUESTION = "The bell will be made in the city of"
DOCUMENT = (
    "On Friday the council met in the old chapel and decided to buy a new bell. The bell will be made in the city of "
    "Vienna and will arrive in October. Nobody spoke against it."
)


@pytest.fixture
def loaded(smollm2: RunningModel, gemma3: RunningModel, monkeypatch) -> None:
    """Let the command take the models that other tests have loaded."""
    models = {each.name: each for each in (smollm2, gemma3)}
    for module in (market_demo, runners):
        monkeypatch.setattr(module, "load_model", lambda weights: models[weights.model])


@pytest.fixture
def document(tmp_path) -> str:
    path = tmp_path / "document.txt"
    path.write_text(DOCUMENT)
    return str(path)


def list_map(source: RunningModel, target: RunningModel) -> None:
    """List the pair's distilled map, certified by figures of the tests."""
    found = find_map(source.weights, target.weights, cache=settings.CACHE_DIR)
    assert found is not None
    origin = Origin(
        version="1.0.0",
        source=ModelIdentity(source.name, source.weights),
        target=ModelIdentity(target.name, target.weights),
        token_alignment=TokenAlignment.CAUSAL_SPANS,
        geometries=(source.geometry, target.geometry),
    )
    file = BytesIO()
    assemble(found.read(), QualityMetrics(Basis.FUNCTIONAL, 0.86, 0.86, 1), origin).write(file)
    created = sample.listing_created(source.name, target.name)
    create_listing(created, metadata=sample.METADATA)
    weights = {"source_weights": source.weights, "target_weights": target.weights}
    sample.publish(created.listing_id, quality=sample.with_suite(), content=file.getvalue(), **weights)
    certify_version(created.listing_id, version="1.0.0", at=timezone.now(), metadata=sample.METADATA)


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("market_demo", "--tokens", "4", "--question", QUESTION, *arguments, stdout=said)
    return said.getvalue()


def row_of(said: str, arm: str) -> str:
    return next(line for line in said.splitlines() if line.startswith(f"│ {arm}"))


@pytest.mark.models
def test_another_model_answers_from_the_memory_that_it_has_bought(loaded, smollm2, gemma3, document) -> None:
    list_map(smollm2, gemma3)
    said = run("--document", document)
    assert "Shown: gemma-3-270m answered from a memory of smollm2-135m that it had bought." in said
    assert "delivered to gemma-3-270m in that model's own tokens" in said
    assert "Aligned by the W-Matrix" in said
    assert "tokens-known" in said
    assert "helper" in said
    assert "Vienna" in row_of(said, BOUGHT)
    assert "Vienna" in row_of(said, TEXT)
    assert "Vienna" not in row_of(said, NOTHING)
    sale = Sale.objects.get()
    assert (sale.status, sale.delivery["form"]) == ("captured", "aligned")
    assert f"position {sale_position(said)}: " in said
    assert Balance.objects.get(account=f"wallet:{sale.buyer}:USD").amount == 0
    assert Checkpoint.objects.exists()


@pytest.mark.models
def test_where_the_quality_gate_refuses_nothing_is_charged_for_it(loaded, smollm2, gemma3, document) -> None:
    list_map(smollm2, gemma3)
    said = run("--document", document, "--minimum-retention", "0.99")
    assert "QUALITY_BELOW_THRESHOLD" in said
    assert "Not shown: gemma-3-270m." in said
    found = {each.delivery["form"]: (each.status, each.price) for each in Sale.objects.all()}
    assert found["aligned"] == ("voided", None)
    assert found["raw"][0] == "captured"


@pytest.mark.models
def test_where_no_certified_w_matrix_is_the_demonstration_says_what_it_does_not_show(loaded, document) -> None:
    for _ in range(2):  # and a second run takes back what the first has listed
        said = run("--document", document)
        assert "W_MATRIX_NOT_FOUND" in said
        assert "Not shown: gemma-3-270m." in said
        assert "Vienna" in row_of(said, BOUGHT)
    assert [each.delivery["form"] for each in Sale.objects.all()] == ["raw", "raw"]
    assert Artefact.objects.filter(withdrawn_at=None).count() == 1
    assert not ApiToken.objects.filter(revoked_at=None).exists()
    assert set(Job.objects.filter(kind="memory.screen").values_list("state", flat=True)) == {"done"}


def sale_position(said: str) -> int:
    return int(said.split("in the log at position ")[1].split(":")[0])


def test_it_is_for_local_machines(settings) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="for local machines"):
        run()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--tokens", "0"), "at least 1"),
        (("--document", "/nowhere.txt"), "there is no file"),
        (("--source", "gpt-4"), "MODEL_NOT_SUPPORTED"),
        (("--address", "http://127.0.0.1:1"), "could not be reached"),
    ],
)
def test_it_says_what_is_wrong(monkeypatch, arguments: tuple[str, ...], reason: str) -> None:
    if "--source" not in arguments:
        monkeypatch.setattr(market_demo, "find_weights", lambda name, cache: name)
    with pytest.raises(CommandError, match=reason):
        run(*arguments)
