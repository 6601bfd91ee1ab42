from dataclasses import replace

import numpy as np
import pytest

from kvcache.compression.compressor import compress
from kvcache.compression.container import read_kvz, write_kvz
from kvcache.compression.plan import Ratio, Threshold
from kvcache.compression.quality import FIGURES, ModelRun, QualityReport, validate
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.protocol.snapshot import KVSnapshot
from tests.kvcache.caches import adapter, queries, snapshot


def report_of(method: str = "select+quantise", tokens: int = 400, coverage: float = 0.95) -> QualityReport:
    cache, asked = snapshot(tokens), queries(20)
    target = Threshold(coverage) if method.startswith("select") else None
    done = compress(cache, adapter=adapter(), queries=asked, method=method, target=target)
    return validate(done.data, adapter=adapter(), original=cache, queries=asked)


SELECTED = {"coverage": "0.97", "threshold": "0.95", "of_tokens": 4000}


def claiming(saved: float, **evidence: object) -> bytes:
    """A file that says of itself that it kept few tokens and saved this much."""
    container = replace(
        read_kvz(compress(snapshot(400), adapter=adapter(), method="quantise").data), selection=SELECTED
    )
    size = len(write_kvz(replace(container, evidence={**container.evidence, **evidence})))
    return write_kvz(replace(container, evidence={"original_bytes": round(size / (1 - saved)), **evidence}))


def test_a_good_file_passes() -> None:
    report = report_of()
    assert report.passed
    assert not report.errors
    assert report.figures["attention_coverage"] >= 0.95
    assert 0 < report.figures["information_loss"] <= 0.15
    assert report.figures["information_loss"] == pytest.approx(report.figures["attention_output_error"] ** 2, rel=0.2)
    assert report.loss_from == "attention_output_error"
    assert report.basis is Basis.ACTIVATION
    assert {report.bases[name] for name in FIGURES if report.figures[name] is not None} == {Basis.ACTIVATION}
    assert not any("claims" in warning for warning in report.warnings)
    assert report.unmeasured == ("retention", "kl", "top1")
    assert set(report.figures) == set(FIGURES)


def test_a_lossless_file_loses_nothing() -> None:
    report = report_of("raw")
    assert report.figures["information_loss"] == 0
    assert report.figures["attention_coverage"] == pytest.approx(1, abs=1e-5)


def test_low_coverage_is_a_warning_that_names_the_setting() -> None:
    report = report_of(coverage=0.5)
    assert "attention coverage is 0.5" in " ".join(report.warnings)
    assert any("raise attention_threshold" in advice for advice in report.recommendations)


def test_much_loss_is_an_error() -> None:
    report = report_of(coverage=0.3)
    assert not report.passed
    assert "information loss is" in report.errors[0]
    assert report.figures["information_loss"] > 0.15
    assert any("max_tokens" in advice and "ratio" in advice for advice in report.recommendations)


def test_the_measured_coverage_stands_in_for_the_stated_one() -> None:
    cache, asked = snapshot(400), queries(20)
    data = compress(cache, adapter=adapter(), queries=asked, target=Threshold(0.6)).data
    lying = write_kvz(replace(read_kvz(data), selection={"coverage": "1.0", "threshold": "1.0", "of_tokens": 400}))
    claimed = validate(lying, adapter=adapter())
    assert (claimed.figures["attention_coverage"], claimed.measured("attention_coverage")) == (1, None)
    measured = validate(lying, adapter=adapter(), original=cache, queries=asked)
    assert measured.measured("attention_coverage") == measured.figures["attention_coverage"] < 0.9


def test_what_a_file_says_of_itself_is_declared() -> None:
    report = validate(claiming(0.9, kl_bound="0.01"), adapter=adapter())
    for name in ("attention_coverage", "kl_bound", "ratio", "compression_ratio"):
        assert report.bases[name] is Basis.DECLARED
    assert report.basis is Basis.DECLARED
    assert "attention_coverage" in report.unmeasured
    assert (
        "the file claims an attention coverage of 0.97, an estimated KL bound of 0.01, a ratio of 10: not measured here"
        in report.warnings
    )


def test_a_claimed_size_does_not_stand_where_the_file_holds_every_token() -> None:
    container = read_kvz(compress(snapshot(400), adapter=adapter(), method="quantise").data)
    data = write_kvz(replace(container, evidence={"original_bytes": 10**9}))
    report = validate(data, adapter=adapter())
    assert report.figures["ratio"] == pytest.approx(container.frame.raw_bytes / len(data))
    assert report.bases["ratio"] is Basis.ACTIVATION
    assert report.basis is Basis.DECLARED  # bytes say nothing about quality


def test_what_was_not_measured_is_none_and_named() -> None:
    data = compress(snapshot(400), adapter=adapter(), method="quantise").data
    report = validate(data, adapter=adapter())
    assert report.passed
    for name in ("attention_coverage", "attention_output_error", "information_loss", "retention", "kl", "top1"):
        assert report.figures[name] is None
        assert name in report.unmeasured
    assert "information loss was not measured, so it was not judged" in report.warnings
    assert "give the original and queries, or run the model" in report.recommendations
    assert report.figures["ratio"] == pytest.approx(snapshot(400).frame.raw_bytes / len(data))


@pytest.mark.parametrize(("saved", "warned"), [(0.5, True), (0.69, True), (0.72, False), (0.94, False), (0.97, True)])
def test_savings_outside_70_to_95_percent_are_a_warning(saved: float, warned: bool) -> None:
    report = validate(claiming(saved), adapter=adapter(), run=ModelRun())
    assert any("of the bytes are saved" in warning for warning in report.warnings) is warned


def test_a_claimed_bound_silences_nothing() -> None:
    without, claimed = (validate(data, adapter=adapter()) for data in (claiming(0.97), claiming(0.97, kl_bound="1e-9")))
    assert any("97.0% of the bytes are saved" in warning for warning in without.warnings)
    assert {each for each in without.warnings if "claims" not in each} <= set(claimed.warnings)
    assert any("an estimated KL bound of 1e-09" in warning for warning in claimed.warnings)


def test_savings_above_95_percent_are_fine_where_their_cost_was_measured() -> None:
    measured = validate(claiming(0.97), adapter=adapter(), run=ModelRun(retention=0.99))
    assert not any("saved" in each for each in measured.warnings)


def test_a_run_of_the_model_decides() -> None:
    cache, asked = snapshot(400), queries(20)
    data = compress(cache, adapter=adapter(), method="quantise").data
    run = ModelRun(retention=0.8, kl=0.02, top1=0.93)
    report = validate(data, adapter=adapter(), original=cache, queries=asked, run=run)
    assert report.loss_from == "retention"
    assert report.figures["information_loss"] == pytest.approx(0.2)
    assert (report.figures["kl"], report.figures["top1"]) == (0.02, 0.93)
    assert (report.bases["kl"], report.bases["attention_output_error"]) == (Basis.FUNCTIONAL, Basis.ACTIVATION)
    assert report.basis is Basis.FUNCTIONAL
    assert not report.passed


def test_a_retention_above_1_is_no_negative_loss() -> None:
    report = validate(claiming(0.8), adapter=adapter(), run=ModelRun(retention=1.04))
    assert (report.figures["information_loss"], report.figures["retention"]) == (0, 1.04)


def test_a_bound_that_was_not_held_is_an_error() -> None:
    data = claiming(0.9, kl_bound="0.01")
    assert validate(data, adapter=adapter(), run=ModelRun(kl=0.009)).passed
    report = validate(data, adapter=adapter(), run=ModelRun(kl=0.02))
    assert report.errors == ("KL is 0.0200 nats, above the bound of 0.0100 that the file claims",)


@pytest.mark.parametrize("figures", [{"kl": -1.0}, {"top1": 1.2}, {"retention": float("nan")}])
def test_figures_that_cannot_have_been_measured_are_refused(figures: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(figures))} is"):
        ModelRun(**figures)


@pytest.mark.parametrize("bound", ["much", "-1", "inf", "nan"])
def test_a_bound_that_cannot_be_is_refused(bound: str) -> None:
    with pytest.raises(InvalidInput, match="the file says kl_bound is"):
        validate(claiming(0.9, kl_bound=bound), adapter=adapter())


def test_another_cache_is_not_the_original() -> None:
    cache, asked = snapshot(400), queries(20)
    data = compress(cache, adapter=adapter(), method="select", queries=asked, target=Ratio(3)).data
    other = KVSnapshot(replace(cache.frame, context="sha256:" + "00" * 32), cache.keys, cache.values)
    with pytest.raises(InvalidInput, match="the original's context is"):
        validate(data, adapter=adapter(), original=other)
    with pytest.raises(InvalidInput, match="which the original lacks"):
        validate(data, adapter=adapter(), original=cache.select(np.arange(200, 400)))
