"""A W-Matrix on request, from packs alone: the two models here are closed, and the product never runs them."""

import hashlib
import json

import pytest
from django.test import Client

from factory import contributed, jobs
from factory.corpora import TextCorpus
from factory.models import CalibrationPack
from factory.packs.pack import open_pack
from factory.progress import silent
from factory.recipes import functional
from factory.recipes.from_packs import fit_packs, store
from factory.session import FactorySession
from latentmas import blobs
from latentmas.events.types import Metadata
from latentmas.jobs.models import Job
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Method, read_w_matrix
from latentmas.runners.weights import Weights
from marketplace.listings.models import ListingVersion
from tests.elsewhere import NOBODY, send_to
from tests.factory.synthetic import GEOMETRY, LEE, Synthetic, upload
from tests.work import work

pytestmark = pytest.mark.django_db
PAIR = {"protocol": "LatentMAS/2.0", "source_model": "gpt-4", "target_model": "claude-3-opus"}


@pytest.fixture
def packs(api, own_files) -> dict[str, str]:
    """Contribute a pack of each model and return their digests."""
    source, target = Synthetic("gpt-4"), Synthetic("claude-3-opus", characters=7, seed=1)
    return {each.model: upload(api, each.bytes(own_files)).json()["digest"] for each in (source, target)}


def ask(client: Client, **changes):
    body = {name: value for name, value in (PAIR | changes).items() if value is not None}
    return client.post("/api/latentmas/w-matrix/generate", data=json.dumps(body), content_type="application/json")


def made(client: Client, **changes):
    response = ask(client, **changes)
    assert response.status_code == 202
    list(work())
    job = client.get(response["Location"]).json()
    assert job["problem"] is None
    return job["result"]


@pytest.mark.parametrize("method", list(Method))
def test_two_contributed_packs_become_a_listed_w_matrix(api, packs, method):
    result = made(api, method=method.value)
    assert (result["version"], result["basis"], result["method"]) == ("1.0.0", "declared", method.value)
    metrics = result["quality_metrics"]
    assert 0.5 < metrics["information_retention"] == metrics["expected_quality"] <= 1
    assert metrics["computational_cost"] == 2 * GEOMETRY.width * result["unified_dimension"]
    assert (result["source_pack"], result["target_pack"]) == (packs["gpt-4"], packs["claude-3-opus"])
    listed = api.get(result["url"]).json()
    assert listed["file"]["digest"] == result["digest"]
    assert listed["quality"]["documents"] == 4
    document = read_w_matrix(blobs.local_path(result["digest"])).document
    assert (document.method, document.quality_metrics.basis) == (method, Basis.DECLARED)
    assert document.distribution is not None
    assert {"source_bos", "target_bos", "latent_scale"} <= set(document.transformation_rules)


def test_what_was_not_run_on_the_target_is_never_certified(api, packs):
    CalibrationPack.objects.update(contributor=None)
    result = made(api)
    assert (result["basis"], result["certificate"]["decision"]) == ("activation", "refused")
    assert "was not run" in result["certificate"]["reasons"][0]
    assert ListingVersion.objects.get().tier is None
    best = api.get("/api/w-matrices/best?source_model=gpt-4&target_model=claude-3-opus")
    assert best.json()["code"] == "W_MATRIX_NOT_FOUND"


def test_the_report_holds_layers_and_control(api, packs):
    result = made(api)
    report = api.get(f"{result['url']}/report").json()["report"]
    assert len(report["layers"]) == GEOMETRY.layers
    assert report["layers"][0]["attention_cosine"] is None
    assert float(report["settings"]["information_retention_of_random_w"]) < 0.1
    assert report["settings"]["information_retention_interval"].startswith("[0.")


def test_the_same_inputs_are_answered_at_once_the_second_time(api, packs):
    result = made(api)
    again = ask(api)
    assert (again.status_code, again.json()) == (200, result)
    named = ask(api, source_pack=packs["gpt-4"], target_pack=packs["claude-3-opus"])
    assert named.json() == result
    assert Job.objects.count() == 1


def test_other_inputs_become_the_next_version(api, packs):
    assert made(api)["version"] == "1.0.0"
    result = made(api, unified_dimension=5)
    assert (result["version"], result["unified_dimension"]) == ("1.1.0", 5)
    assert made(api, method="orthogonal")["version"] == "1.2.0"


def test_asking_twice_before_it_is_done_is_one_job(api, packs):
    assert ask(api).json()["id"] == ask(api).json()["id"]


@pytest.mark.parametrize("url", NOBODY.values(), ids=NOBODY)
@pytest.mark.django_db(transaction=True)
def test_without_a_broker_it_is_unavailable_for_a_while_and_what_reads_goes_on(api, packs, url, monkeypatch):
    send_to(url, monkeypatch)
    response = ask(api)
    assert (response.status_code, response.json()["code"]) == (503, "QUEUE_UNAVAILABLE")
    assert response["Retry-After"] == "30"
    assert not Job.objects.exists()
    assert [api.get(path).status_code for path in ("/", "/api/w-matrices", "/api/jobs")] == [200] * 3
    monkeypatch.undo()
    assert ask(api).status_code == 202


def test_a_withdrawn_version_is_not_given_again(api, packs):
    from marketplace.listings.lifecycle.commands import yank_version
    from tests.marketplace.sample import CURATOR

    result = made(api)
    yank_version(result["listing_id"], version="1.0.0", reason="wrong", by=CURATOR)
    assert made(api)["version"] == "1.1.0"


def test_of_several_packs_the_largest_of_one_corpus_are_taken(api, own_files, packs):
    larger = Synthetic("gpt-4", characters=5, seed=9)
    digest = upload(api, larger.bytes(own_files)).json()["digest"]
    assert made(api)["source_pack"] == digest


def test_a_pack_that_was_captured_here_is_taken_before_a_larger_one_that_was_sent(api, own_files, packs):
    CalibrationPack.objects.filter(digest=packs["gpt-4"]).update(contributor=None)
    larger = Synthetic("gpt-4", characters=5, seed=9)
    assert upload(api, larger.bytes(own_files)).status_code == 201
    assert made(api)["source_pack"] == packs["gpt-4"]


def test_the_protocols_camel_case_is_understood(api, packs):
    response = api.post(
        "/api/latentmas/w-matrix/generate",
        data=json.dumps({"sourceModel": "gpt-4", "targetModel": "claude-3-opus", "unifiedDimension": 4}),
        content_type="application/json",
    )
    assert response.status_code == 202


def test_it_needs_the_scope(other, packs):
    assert ask(other).status_code == 403
    assert ask(Client()).status_code == 401


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"source_model": "gpt-5000"}, "MODEL_NOT_SUPPORTED", "not in the registry"),
        ({"target_model": "bert"}, "MODEL_NOT_SUPPORTED", "keeps no KV-cache"),
        ({"target_model": "GPT-4"}, "INVALID_INPUT", "same model"),
        ({"protocol": "LatentMAS/1.0"}, "INVALID_INPUT", "not a valid choice"),
        ({"method": "gram-schmidt"}, "INVALID_INPUT", "not a valid choice"),
        ({"unified_dimension": 65}, "INVALID_INPUT", "64 at most"),
        ({"unified_dimension": 0}, "INVALID_INPUT", "greater than or equal"),
        ({"target_model": None}, "INVALID_INPUT", "required"),
        ({"target_model": "gemma-3-270m"}, "W_MATRIX_NOT_FOUND", "no calibration pack of gemma-3-270m"),
        ({"source_pack": "sha256:" + "0" * 64}, "NOT_FOUND", "no calibration pack"),
        ({"source_pack": "nothing"}, "INVALID_INPUT", "required pattern"),
    ],
)
def test_what_cannot_be_made_is_refused_before_a_job_begins(api, packs, changes, code, said):
    answer = ask(api, **changes).json()
    assert answer["code"] == code
    assert said in answer["detail"]
    assert not Job.objects.exists()


def test_a_missing_pack_is_named_with_how_to_make_it(api, packs):
    answer = ask(api, target_model="gemma-3-270m").json()
    assert "`manage.py calibrate gemma-3-270m`" in answer["resolution"]
    assert "POST /api/calibration-packs" in answer["resolution"]
    assert answer["facts"]["missing"] == ["gemma-3-270m"]
    CalibrationPack.objects.filter(model="claude-3-opus").delete()
    assert "its owner can send" in ask(api).json()["resolution"]


def test_a_pack_of_another_model_is_refused(api, packs):
    answer = ask(api, source_pack=packs["claude-3-opus"]).json()
    assert (answer["code"], answer["field"]) == ("INVALID_INPUT", "source_pack")


def test_packs_of_different_corpora_are_refused_with_the_next_call(api, packs):
    CalibrationPack.objects.filter(model="gpt-4").update(corpus="mine", corpus_digest="sha256:" + "3" * 64)
    answer = ask(api).json()
    assert answer["code"] == "INVALID_INPUT"
    assert "gpt-4 has mine, claude-3-opus has lee-background" in answer["detail"]


def test_rows_of_a_width_that_the_registry_contradicts_are_refused(api, packs):
    CalibrationPack.objects.filter(model="gpt-4").update(model="smollm2-135m")
    answer = ask(api, source_model="smollm2-135m", source_pack=packs["gpt-4"]).json()
    assert (answer["code"], answer["field"]) == ("DIMENSION_MISMATCH", "source_pack")
    assert answer["facts"] == {"expected": 11_520, "given": 64}


def test_a_rank_above_the_shared_rows_is_refused(api, own_files):
    wide = GEOMETRY.__class__(
        layers=4, heads=8, head_dim=64, rotary_dim=64, thetas=(10_000.0,) * 4, windows=(None,) * 4
    )
    for seed, model in enumerate(("gpt-4", "claude-3-opus")):
        assert upload(api, Synthetic(model, geometry=wide, seed=seed).bytes(own_files)).status_code == 201
    answer = ask(api, unified_dimension=4096).json()
    assert answer["code"] == "INVALID_INPUT"
    assert "needs more than 4096 paired rows" in answer["detail"]


def test_models_at_hand_with_the_packs_own_weights_and_their_text_can_be_run(own_files, packs, monkeypatch):
    at_hand = {name: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}" for name in ("gpt-4", "claude-3-opus")}
    opened = {name: open_pack(blobs.local_path(packs[name])) for name in at_hand}
    monkeypatch.setattr(contributed, "PACKAGED", at_hand)
    monkeypatch.setattr(
        "factory.session.find_weights", lambda name, **_options: Weights(name, own_files, at_hand[name])
    )

    def runnable(digest=LEE.digest):
        text = TextCorpus(LEE.name, digest, ())
        return contributed.runnable(FactorySession(lambda: text, own_files, Metadata("test"), silent, packs=opened))

    assert runnable() == set(at_hand)
    assert runnable("sha256:" + "1" * 64) == set()  # another text
    at_hand["gpt-4"] = "sha256:" + "0" * 64  # another revision
    assert runnable() == {"claude-3-opus"}
    del at_hand["claude-3-opus"]
    assert runnable() == set()


def test_a_version_that_another_run_took_meanwhile_is_not_confused_with_ones_own(api, packs, monkeypatch):
    made(api)
    versions = iter(["1.0.0", "1.1.0"])
    monkeypatch.setattr(jobs.publishing, "next_version", lambda *pair: next(versions))
    result = made(api, unified_dimension=5)
    assert (result["version"], result["unified_dimension"]) == ("1.1.0", 5)


def test_the_measured_path_gets_these_very_packs_and_their_corpus(api, packs, monkeypatch):
    given = {}

    def measure(order, session):
        given.update(order=order, corpus=session.corpus, packs=session.packs)
        source, target = (session.pack(name) for name in (order.source, order.target))
        options = {"method": order.method, "unified_dimension": 4, "basis": Basis.ACTIVATION}
        fitted = fit_packs(source, target, **options, stage=session.stage)
        return store(fitted, version=order.version, provenance={})

    monkeypatch.setattr(jobs, "runnable", lambda session: set(session.packs))
    monkeypatch.setattr(contributed, "load_corpus", lambda location: TextCorpus(location, LEE.digest, ()))
    monkeypatch.setattr(functional, "generate_measured", measure)
    assert made(api, method="hybrid")["unified_dimension"] == 4
    assert (given["order"].method, given["order"].unified_dimension) == (Method.HYBRID, None)
    assert given["corpus"].name == "lee"
    assert {name: pack.document.model for name, pack in given["packs"].items()} == {name: name for name in packs}
