"""Publishing by the form, and the states in which its file is shown."""

import hashlib
import io

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile

from latentmas.events.models import Event
from latentmas.jobs.models import Job
from latentmas.jobs.working import claim, run
from marketplace.listings.models import Listing, ListingText, ListingVersion
from marketplace.listings.publishing.publication import SCAN
from marketplace.uploads.commands import begin_upload, continue_upload
from marketplace.uploads.models import Upload
from tests.marketplace.exchange.sample import w_matrix
from tests.marketplace.sample import SOURCE, TARGET

pytestmark = pytest.mark.django_db
PUBLISH = "/my/listings/new"


def file_of(**fields):
    file = io.BytesIO()
    w_matrix(**fields).write(file)
    return file.getvalue()


def form(agent, data, **changes):
    return {
        "agent": agent,
        "title": "Mine",
        "source_model": SOURCE,
        "target_model": TARGET,
        "price": 1999,
        "tags": "fast, small",
        "access": "public",
        "version": "1.0.0",
        "epsilon": 0.1,
        "test_samples": 1000,
        "file": SimpleUploadedFile("w.safetensors", data),
    } | changes


def scan():
    return run(claim(Job.objects.get(kind=SCAN, state="queued").id))


def mine(browser):
    return browser.get("/my/listings").content.decode()


def test_a_file_is_published_scanned_and_offered(browser, alice, seller, registry):
    assert 'enctype="multipart/form-data"' in browser.get(PUBLISH).content.decode()
    answer = browser.post(PUBLISH, form(seller, file_of()))
    assert answer["Location"] == "/my/listings", answer.content.decode()
    row, version = Listing.objects.get(), ListingVersion.objects.get()
    assert (row.title, row.seller, row.price_amount, row.tags) == ("Mine", seller, 1999, ["fast", "small"])
    assert (version.basis, version.epsilon) == ("declared", 0.1)
    assert Event.objects.get(type="listing.created").metadata["actor"] == f"user:{alice.pk}"
    assert "1.0.0</b> is being scanned" in mine(browser)
    scan()
    assert "1.0.0</b> is on offer; not measured yet" in mine(browser)


def test_a_file_that_the_scan_refuses_is_shown_with_the_reasons(browser, seller, registry):
    browser.post(PUBLISH, form(seller, file_of(more={"target_bos": np.zeros(9216, "f4")})))
    (reason, *_) = scan().result["reasons"]
    page = mine(browser)
    assert "1.0.0</b> was refused:" in page
    assert f"<li>{reason}" in page.replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"title": ""}, "This field is required"),
        ({"price": -1}, "greater than or equal to 0"),
        ({"price": "19.99"}, "Enter a whole number"),
        ({"tags": "<b>"}, "holds more than letters"),
        ({"version": "2.0.0"}, "the version in the file is 1.0.0, not 2.0.0"),
        ({"source_model": "nobody"}, "nobody"),
        ({"target_model": "qwen-7b"}, "the target_model in the file is"),
        ({"epsilon": 2}, "less than or equal to 1"),
        ({"access": "secret"}, "Select a valid choice"),
        ({"file": SimpleUploadedFile("w.safetensors", b"\x00" * 100)}, "errorlist"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_is_wrong_is_said_and_nothing_is_recorded(browser, seller, registry, changes, problem):
    before = Event.objects.count()
    answer = browser.post(PUBLISH, form(seller, file_of(), **changes))
    assert answer.status_code == 200
    assert problem in answer.content.decode().replace("&#x27;", "'")
    assert Event.objects.count() == before
    assert not ListingText.objects.exists()


def test_nobody_publishes_as_somebody_elses_agent(browser, seller, other_agent, registry):
    other, _ = other_agent("mallory")
    assert "Select a valid choice" in browser.post(PUBLISH, form(other, file_of())).content.decode()
    assert not Listing.objects.exists()


def sent_before(agent, data):
    """Send a file as static/web/upload.js does, before the form; return the upload's id."""
    row = begin_upload(agent, size=len(data), digest=f"sha256:{hashlib.sha256(data).hexdigest()}")
    continue_upload(row, io.BytesIO(data).read, offset=0, length=len(data))
    return row.id


def test_a_file_that_was_sent_before_is_published_with_the_form(browser, seller, registry):
    upload = sent_before(seller, file_of())
    wrong = browser.post(PUBLISH, form(seller, b"", file="", upload=upload, title="")).content.decode()
    assert f'value="{upload}"' in wrong  # it need not be sent again
    assert "It has arrived." in wrong
    answer = browser.post(PUBLISH, form(seller, b"", file="", upload=upload))
    assert answer["Location"] == "/my/listings", answer.content.decode()
    assert ListingVersion.objects.get().file_digest == f"sha256:{hashlib.sha256(file_of()).hexdigest()}"
    assert not Upload.objects.exists()


def test_no_file_an_unfinished_one_and_anothers_are_refused(browser, seller, other_agent, registry):
    other, _ = other_agent("bob")
    half = begin_upload(seller, size=10, digest="sha256:" + "0" * 64).id
    for upload, problem in (
        ("", "Choose a file."),
        (half, "is not finished"),
        (sent_before(other, file_of()), "you have no upload"),
    ):
        assert problem in browser.post(PUBLISH, form(seller, b"", file="", upload=upload)).content.decode()
    assert not Listing.objects.exists()


def test_a_form_that_is_too_large_is_refused_by_its_length(browser, seller, registry, settings):
    settings.MAX_FILE_BYTES = 1024
    answer = browser.post(PUBLISH, form(seller, file_of()))
    assert answer.status_code == 413
    assert "the limit is 1024" in answer.content.decode()
    assert not Listing.objects.exists()


def test_a_login_without_an_agent_registers_one_first(browser):
    assert browser.get(PUBLISH)["Location"] == "/my/agents/new"


def version_form(agent, data, version):
    fields = {"agent": agent, "version": version, "epsilon": 0.1, "test_samples": 1000}
    return fields | {"file": SimpleUploadedFile("w.safetensors", data)}


def test_another_version_is_published_by_who_may(browser, seller, other_agent, registry, client):
    browser.post(PUBLISH, form(seller, file_of()))
    listing = Listing.objects.get().id
    path = f"/w-matrices/{listing}/versions/new"
    assert path in mine(browser)
    answer = browser.post(path, version_form(seller, file_of(version="1.1.0"), "1.1.0"))
    assert answer["Location"] == "/my/listings", answer.content.decode()
    assert set(ListingVersion.objects.values_list("version", flat=True)) == {"1.0.0", "1.1.0"}

    again = browser.post(
        path, version_form(seller, file_of(version="1.1.0", more={"latent_scale": np.full(4, 2, "f4")}), "1.1.0")
    )
    assert "errorlist" in again.content.decode()
    lower = browser.post(path, version_form(seller, file_of(version="1.0.5"), "1.0.5"))
    assert "errorlist" in lower.content.decode()
    other_agent("mallory")
    client.force_login(User.objects.get(username="mallory"))
    assert client.post(path, version_form(seller, file_of(version="1.2.0"), "1.2.0")).status_code == 404
    assert ListingVersion.objects.count() == 2
