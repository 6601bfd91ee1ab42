"""What the certifier makes of files that others have made: honest ones are certified, forged ones are not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factory.certifying import jobs, private
from factory.models import PrivateDraw
from factory.progress import silent
from latentmas.events.models import Event
from latentmas.jobs.handlers import Run
from latentmas.protocol.w_matrix import WMatrix
from marketplace.certification.commands import begin_attempt
from marketplace.listings.certificates.decisions import PRIVATE_FAILED
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import change_access
from marketplace.listings.models import ListingVersion
from tests.factory.certifying.conftest import LENGTH, SOURCE, TARGET, certified
from tests.marketplace import sample

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("certifier")]

Forge = Callable[[WMatrix], WMatrix]


def row() -> ListingVersion:
    return ListingVersion.objects.get()


def test_an_honest_file_is_measured_and_certified(publish, honest):
    job = certified(publish(honest))
    assert job.state == "done", job.problem
    assert job.result["tier"] == "bronze", job.result
    version = row()
    assert (version.basis, version.tier) == ("functional", "bronze")
    assert version.declared_gap > 0.05
    assert version.measurement["instrument"]["code"] == "arms/3"
    assert version.measurement["private"]["passed"]
    assert not version.measurement["made_here"]


def with_arrays(w_matrix: WMatrix, **arrays: np.ndarray) -> WMatrix:
    return WMatrix(w_matrix.document, w_matrix.arrays | arrays)


def zeroed_sink(w_matrix: WMatrix) -> WMatrix:
    return with_arrays(w_matrix, target_bos=np.zeros_like(w_matrix.arrays["target_bos"]))


def foreign_sink(w_matrix: WMatrix) -> WMatrix:
    return with_arrays(w_matrix, source_bos=w_matrix.arrays["target_bos"])


def no_sink(w_matrix: WMatrix) -> WMatrix:
    document, arrays = w_matrix.document, dict(w_matrix.arrays)
    del arrays["source_bos"]
    rules = {name: name for name in document.transformation_rules if name != "source_bos"}
    return WMatrix(replace(document, transformation_rules=rules), arrays)


def other_geometry(w_matrix: WMatrix) -> WMatrix:
    geometry = w_matrix.document.source_geometry
    assert geometry is not None
    wrong = replace(geometry, thetas=tuple(2 * theta for theta in geometry.thetas))
    return WMatrix(replace(w_matrix.document, source_geometry=wrong), w_matrix.arrays)


@pytest.mark.parametrize(
    ("forge", "field"),
    [
        (zeroed_sink, "target_bos"),
        (foreign_sink, "source_bos"),
        (no_sink, "source_bos"),
        (other_geometry, "source_geometry"),
    ],
)
def test_a_file_that_is_not_of_its_models_is_refused_before_it_is_measured(publish, honest, forge: Forge, field):
    job = certified(publish(forge(honest)))
    assert (job.state, job.problem["field"]) == ("failed", field)
    version = row()
    assert (version.tier, version.measured_at) == (None, None)
    assert version.refusal_reasons == [job.problem["detail"]]
    assert not Event.objects.filter(type="certification.attempted").exists()


def swapped_layers(w_matrix: WMatrix) -> WMatrix:
    """The last layer where the first should be, and the other way round, in whatever predicts them."""
    geometry = w_matrix.document.target_geometry
    assert geometry is not None
    layers = w_matrix.arrays["decoder"].shape[1] // geometry.layer_width
    order = np.arange(layers * geometry.layer_width).reshape(layers, -1)[::-1].ravel()
    names = ("decoder", "target_mean", "target_scale", "correction_decoder")
    return with_arrays(w_matrix, **{name: np.ascontiguousarray(w_matrix.arrays[name][..., order]) for name in names})


def test_a_file_with_swapped_layers_is_measured_and_refused(publish, honest):
    job = certified(publish(swapped_layers(honest)))
    assert (job.state, job.result["tier"]) == ("done", "refused")
    assert "words at 128 tokens" in job.result["reasons"][0]
    assert row().measurement["private"] is None  # no certificate depended on it


def test_a_file_made_for_the_public_suite_passes_that_and_is_refused(publish, overfitted):
    job = certified(publish(overfitted))
    assert job.result["reasons"] == [PRIVATE_FAILED]
    version = row()
    assert version.quality["retention"]["aligned"]["low"] > 0.6
    assert (version.tier, version.measurement["private"]["passed"]) == (None, False)


def test_a_seller_sees_of_the_private_texts_whether_the_file_passed(client, publish, honest):
    identifier = publish(honest)
    job = certified(identifier)
    answer = client.get(f"/api/w-matrices/{identifier}/versions/1.0.0").json()
    assert set(answer["measurement"]["private"]) == {"rotation", "passed", "commitment"}
    said = f"{job.result}{answer}{client.get(f'/w-matrices/{identifier}').content.decode()}"
    for texts in PrivateDraw.objects.get().texts.values():
        assert not any(text[:40] in said for text in texts)


def test_a_private_listing_is_certified_like_any_other(client, publish, honest):
    identifier = publish(honest)
    change_access(identifier, access=Access.PRIVATE, by=sample.CURATOR)
    assert certified(identifier).result["tier"] == "bronze"
    assert client.get("/api/feed").json()["cards"] == []
    assert client.get(f"/api/w-matrices/{identifier}/versions/1.0.0/manifest").status_code == 404


def test_a_fourth_file_of_a_rotation_is_not_measured(publish, honest):
    identifier = publish(honest)
    for number in range(3):
        begin_attempt(row(), account="agent:test", job=str(number))
    job = certified(identifier)
    assert (job.state, job.problem["code"]) == ("failed", "CERTIFICATION_ATTEMPTS_SPENT")
    assert (row().measured_at, PrivateDraw.objects.count()) == (None, 0)


def test_the_same_job_again_is_the_same_attempt(publish, honest):
    job = certified(publish(honest))
    again = jobs.certify(Run(job.id, job.arguments, job.requested_by, silent, lambda *_: []))
    assert again == job.result
    assert Event.objects.filter(type="certification.attempted").count() == 1
    assert Event.objects.filter(type="listing.version_measured").count() == 1


def test_a_file_for_weights_that_do_not_run_here_stays_declared(publish, honest):
    other = replace(honest.document, source_weights="sha256:" + "9" * 64)
    job = certified(publish(WMatrix(other, honest.arrays)))
    assert (job.state, job.problem["code"]) == ("failed", "MODEL_NOT_SUPPORTED")
    assert row().basis == "declared"


def test_figures_on_captured_activations_are_measured_and_never_certified(publish, honest, new_session, monkeypatch):
    """The server has packs of both models and cannot run them any more."""
    session = new_session()
    for name in (SOURCE, TARGET):
        session.pack(name)
    monkeypatch.setattr("factory.contributed.PACKAGED", {})
    job = certified(publish(honest))
    assert (job.state, job.result["tier"]) == ("done", "refused")
    assert (row().basis, row().measurement["instrument"]["code"]) == ("activation", "rows/1")
    assert "the target model was not run" in job.result["reasons"][0]


def test_private_texts_that_are_too_short_are_passed_over(new_session, settings):
    target, folder = new_session().model(TARGET), Path(settings.PRIVATE_TEXTS)
    before = private.operators_texts(target, length=LENGTH)
    for place in ("0", "00", "05", "1a"):
        (folder / f"{place}-short.txt").write_text("Too short.")
    assert private.operators_texts(target, length=LENGTH) == before


def test_without_enough_private_texts_nothing_is_measured_and_no_attempt_is_counted(publish, honest, settings):
    for number, path in enumerate(sorted(Path(settings.PRIVATE_TEXTS).iterdir())):
        if number >= private.WANTED - 1:
            path.write_text(" ".join(path.read_text().split()[: LENGTH // 2]))
    job = certified(publish(honest))
    assert (job.state, job.problem["code"], job.problem["field"]) == ("failed", "INVALID_INPUT", "private")
    assert f"{private.WANTED - 1} of the" in job.problem["detail"]
    assert not Event.objects.filter(type__in=["certification.attempted", "listing.version_refused"]).exists()


def test_the_private_texts_are_drawn_for_the_file_and_committed_to(publish, honest):
    certified(publish(honest))
    drawn = PrivateDraw.objects.get()
    assert set(drawn.texts) == {private.OPERATORS, private.WRITTEN}
    assert row().measurement["private"]["commitment"] == private.commitment_of(drawn)
    positions = dict(Event.objects.values_list("type", "position"))
    assert positions["listing.version_published"] < positions["certification.attempted"]
    assert positions["certification.attempted"] < positions["listing.version_measured"]
    drawn.texts = drawn.texts | {private.OPERATORS: drawn.texts[private.OPERATORS][1:]}
    assert row().measurement["private"]["commitment"] != private.commitment_of(drawn)
