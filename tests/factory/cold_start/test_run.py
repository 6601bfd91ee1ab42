"""The cold start as an operator runs it."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from factory.cold_start import run as cold_start
from factory.corpora import LEE, Split, load_corpus
from factory.corpora.suite import EvaluationSuite, SuiteCell
from factory.models import CalibrationPack
from factory.session import FactorySession
from latentmas import blobs
from latentmas.events.models import Event
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import read_w_matrix
from marketplace.listings.models import Listing, ListingVersion
from tests.marketplace import sample

SIMULATED = ("--models", "gpt-4,llama-3-8b", "--test-samples", "64")


@pytest.fixture(autouse=True)
def _registry(db: None, blobs_folder: Path) -> None:
    call_command("load_registry", stdout=StringIO())


def generate(*options: str) -> str:
    out = StringIO()
    call_command("generate_cold_start", *options, stdout=out)
    return out.getvalue()


def flat(table: str) -> str:
    """Return the last column's text, and what stands below, without its line breaks."""
    return " ".join(line.strip("│ ").split("│")[-1].strip() for line in table.splitlines())


def test_a_dry_run_prints_the_plan_and_makes_nothing() -> None:
    before = Event.objects.count()
    plan = generate("--dry-run", "--max-pairs", "3")
    assert "smollm2-135m → gemma-3-270m" in plan
    assert "functional" in plan
    assert "simulated" in plan
    assert "No pair was measured" in plan
    assert "[0.00, 1.00]: nothing is known" in flat(plan)
    assert Event.objects.count() == before


@pytest.mark.usefixtures("own_files")
def test_a_dry_run_estimates_from_two_measured_pairs_and_says_how_little_that_is() -> None:
    sample.make_listing(sample.SOURCE, sample.TARGET, quality=sample.functional(0.866))
    sample.make_listing(sample.TARGET, sample.SOURCE, quality=sample.functional(0.859))
    plan = generate("--dry-run", "--models", "smollm2-135m,gemma-3-270m,llama-3-8b", "--min-popularity", "1")
    assert "almost nothing is known from 2 measured pairs" in flat(plan)
    assert "itself measured: 0.866 [0.846, 0.886]" in flat(plan)
    assert "The estimates rest on gemma-3-270m → smollm2-135m 0.859" in flat(plan)


@pytest.mark.usefixtures("own_files")
def test_published_simulated_pairs_are_labelled_everywhere_and_not_certified() -> None:
    output = generate(*SIMULATED, "--publish")
    listings = list(Listing.objects.order_by("title"))
    assert [(each.source_model, each.target_model) for each in listings] == [
        ("gpt-4", "llama-3-8b"),
        ("llama-3-8b", "gpt-4"),
    ]
    for listing in listings:
        assert (listing.basis, listing.tier, listing.retention) == (Basis.SIMULATED, None, None)
        w_matrix = read_w_matrix(blobs.local_path(listing.file_digest))
        assert w_matrix.document.quality_metrics.basis is Basis.SIMULATED
    assert "not measured" in output
    assert "Certification: none" in output


@pytest.mark.usefixtures("own_files")
def test_a_second_run_makes_nothing_twice() -> None:
    generate(*SIMULATED, "--publish")
    before = Event.objects.count()
    output = generate(*SIMULATED, "--publish")
    assert Event.objects.count() == before
    assert "2 of 2 pairs: 0 made, 2 ready before" in output


@pytest.mark.usefixtures("own_files")
def test_what_was_made_without_publishing_can_be_published_later() -> None:
    generate(*SIMULATED)
    assert not Listing.objects.exists()
    assert "0 made, 2 ready before" in generate(*SIMULATED, "--publish")
    assert Listing.objects.count() == 2


@pytest.mark.usefixtures("own_files")
def test_other_settings_become_a_new_version_of_the_same_listing() -> None:
    generate(*SIMULATED, "--publish")
    generate("--models", "gpt-4,llama-3-8b", "--test-samples", "65", "--publish")
    assert Listing.objects.count() == 2
    assert sorted(ListingVersion.objects.values_list("version", flat=True)) == ["1.0.0", "1.0.0", "1.1.0", "1.1.0"]
    newest = ListingVersion.objects.filter(version="1.1.0").first()
    assert newest is not None
    assert read_w_matrix(blobs.local_path(newest.file_digest)).document.version == "1.1.0"


@pytest.mark.usefixtures("own_files")
def test_an_interrupted_run_keeps_what_is_finished_and_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    original = cold_start._simulated
    made: list[str] = []

    def stop_at_the_second(pair, options):
        if made:
            raise KeyboardInterrupt
        made.append(pair.source.name)
        return original(pair, options)

    monkeypatch.setattr(cold_start, "_simulated", stop_at_the_second)
    with pytest.raises(SystemExit):
        generate(*SIMULATED, "--publish")
    assert Listing.objects.count() == 1
    monkeypatch.setattr(cold_start, "_simulated", original)
    output = generate(*SIMULATED, "--publish")
    assert "1 made, 1 ready before" in output
    assert Listing.objects.count() == 2


@pytest.mark.usefixtures("own_files")
def test_a_full_disk_is_reported_pair_by_pair_and_nothing_is_listed(blobs_folder: Path) -> None:
    blobs_folder.write_text("a file where the folder should be")
    with pytest.raises(CommandError, match="some pairs could not be made"):
        generate(*SIMULATED, "--publish")
    assert not Listing.objects.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--models", "gpt-4,lama-3-8b"), "MODEL_NOT_SUPPORTED.*did you mean 'llama-3-8b'"),
        (("--models", "gpt-4,gpt-4"), "INVALID_INPUT.*two different ones"),
        (("--models", "smollm2-135m,gpt-4", "--no-simulated"), "MODEL_NOT_SUPPORTED.*gpt-4"),
        (("--max-pairs", "0"), "--max-pairs is 0"),
        (("--test-samples", "-1"), "--test-samples is -1"),
        (("--corpus", "/nowhere", *SIMULATED), "INVALID_INPUT.*neither a file nor a folder"),
    ],
)
def test_it_says_what_is_wrong_with_its_options(options: tuple[str, ...], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        generate(*options)


def news(name: str) -> EvaluationSuite:
    """One cell of four news items."""
    documents = [each for each in load_corpus(LEE).part(Split.HELD_OUT) if len(each.text) > 1600][:4]
    cell = SuiteCell("news", 256, lambda: tuple(documents), len(documents), wanted=4)
    return EvaluationSuite(name, "sha256:" + "0" * 64, (cell,))


@pytest.mark.models
def test_two_real_models_are_calibrated_fitted_measured_certified_and_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main job in small: a tenth of the calibration text and few documents, everything else as in production."""
    documents = load_corpus(LEE).part(Split.SELECTION)
    selection = SuiteCell("news", 256, lambda: documents, len(documents), wanted=6)
    monkeypatch.setattr(FactorySession, "selection", (selection,))
    monkeypatch.setattr(cold_start, "load_suite", news)
    options = ("--models", "smollm2-135m,gemma-3-270m", "--max-pairs", "1", "--no-simulated", "--publish")
    small = ("--corpus", "lee", "--calibration-tokens", "4500", "--unified-dimension", "128", "--test-samples", "200")
    small = (*small, "--refinement-steps", "2", "--fit")
    output = generate(*options, *small)
    listing = Listing.objects.get()
    version = ListingVersion.objects.get()
    assert (listing.source_model, listing.target_model, listing.basis) == ("gemma-3-270m", "smollm2-135m", "functional")
    quality = version.quality
    retention = quality["retention"]
    assert float(retention["aligned"]["value"]) > float(retention["random_w"]["high"])
    assert float(retention["aligned"]["value"]) > float(retention["wrong_document"]["high"])
    assert float(quality["epsilon"]) == pytest.approx(1 - float(retention["aligned"]["value"]))
    assert quality["documents"] == 4
    (cell,) = quality["suite"]["cells"]
    floor = float(cell["aligned"]["low"])
    bars = [float(cell[arm]["high"]) for arm in ("wrong_document", "own_tokens", "random_w")]
    unreached = [bar for bar in (*bars, float(cell["text_eighth"]["value"])) if not floor > bar]
    unreached += [added for added in (float(cell["beyond_tokens"]["low"]),) if not added > 0]
    floor_in_place, eighth = float(cell["in_place"]["low"]), float(cell["text_eighth"]["value"])
    bars = [float(cell["in_place_stranger"]["high"]), float(cell["in_place_alone"]["value"]), eighth]
    unreached_in_place = [bar for bar in bars if not floor_in_place > bar]
    certificate = (version.tier is not None, version.refusal_code, len(version.refusal_reasons))
    if unreached and unreached_in_place:
        assert certificate == (False, "QUALITY_BELOW_THRESHOLD", len(unreached) + len(unreached_in_place))
    else:
        assert certificate == (True, None, 0)
        assert version.scope["mode"] == ("read-in-place" if unreached else "tokens-known")
    assert len(version.source_weights) == len("sha256:") + 64
    document = read_w_matrix(blobs.local_path(version.file_digest)).document
    assert (document.source_dimension, document.unified_dimension, document.target_dimension) == (9_216, 128, 11_520)
    assert set(CalibrationPack.objects.values_list("model", flat=True)) == {"smollm2-135m", "gemma-3-270m"}
    assert "1 of 1 pairs: 1 made" in output
    before = Event.objects.count()
    assert "0 made, 1 ready before" in generate(*options, *small)
    assert Event.objects.count() == before
