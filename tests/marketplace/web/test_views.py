from dataclasses import replace
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.utils import timezone

from latentmas import blobs
from latentmas.protocol.quality import Interval
from marketplace.listings.commands import publish_version
from marketplace.listings.events.listing import StoredFile
from marketplace.listings.lifecycle.commands import yank_version
from marketplace.listings.models import Listing, ListingVersion
from marketplace.texts.free_text import FreeText
from marketplace.web.heat_table import DASH
from tests.marketplace import sample

pytestmark = pytest.mark.django_db


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words, self.inline_scripts = [], 0

    def handle_starttag(self, tag, attrs):
        self.inline_scripts += tag == "script" and "src" not in dict(attrs)

    def handle_data(self, data):
        self.words += data.split()


def read(client, address, status=200):
    response = client.get(address)
    assert response.status_code == status
    parsed = Text()
    parsed.feed(response.content.decode())
    assert parsed.inline_scripts == 0
    return " ".join(parsed.words)


def test_the_home_page_lists_what_is_on_offer(client, certified, simulated):
    page = read(client, "/")
    assert (
        "smollm2-135m → gemma-3-270m learned · 1024 dimensions · v1.0.0 functional 0.970 0.950 to 0.990 0.030 gold"
        in page
    )
    assert "gpt-4 → llama-3-8b learned · 1024 dimensions · v1.0.0 simulated not measured 0.030 none" in page
    assert "2 W-Matrices" in page


def test_the_home_page_says_how_an_empty_catalogue_is_filled(client, db):
    assert "generate_cold_start" in read(client, "/")


@pytest.mark.parametrize("query", ["basis=functional", "tier=gold", "include_simulated=false", "family=Google+Gemma"])
def test_the_home_page_filters(client, certified, simulated, query):
    page = read(client, f"/?{query}")
    assert "1 W-Matrix matches" in page
    assert "not measured" not in page.split("How a figure is known")[0]


def test_the_home_page_says_what_is_wrong_with_a_filter(client, certified):
    assert "tier:" in read(client, "/?tier=diamond")
    assert "not in the registry" in read(client, "/?source_model=gpt-5000")
    assert "Nothing on offer matches" in read(client, "/?tier=bronze")


def test_the_home_page_has_pages_that_keep_the_filters(client, registry):
    sample.make_many(30)
    first = client.get("/?basis=simulated").content.decode()
    assert "Page 1 of 2" in first
    assert "?basis=simulated&amp;page=2#catalogue" in first
    assert "Page 2 of 2" in read(client, "/?basis=simulated&page=2")
    assert "Page 2 of 2" in read(client, "/?page=99999")


@pytest.mark.parametrize("count", [5, 25])
def test_the_home_page_makes_the_same_number_of_queries_for_any_page(
    client, registry, django_assert_num_queries, count
):
    sample.make_many(count)
    with django_assert_num_queries(15):
        client.get("/")


def test_a_listing_shows_figures_controls_and_certificate(client, certified):
    page = read(client, f"/w-matrices/{certified}")
    for words in (
        "0.970 95 % interval 0.950 to 0.990",
        "1 200 scored continuation tokens in 40 held-out documents of test corpus",
        "Wrong document: -0.200 (-0.220 to -0.180)",
        "Last eighth as text 0.500 0.480 0.520",
        "gold grade good",
        "Gemma Terms of Use",
        "Version 1.0.0 certified gold",
    ):
        assert words in page
    markup = client.get(f"/w-matrices/{certified}").content.decode()
    assert Listing.objects.get().file_digest.removeprefix("sha256:") in markup
    assert f"/api/w-matrices/{certified}/versions/1.0.0/file" in markup
    assert "attention output: 0.95 to 0.95" in markup


def test_a_listing_shows_the_other_ways_to_use_it_where_they_were_measured(client, registry):
    more = replace(sample.functional(0.9), reread=Interval(0.95, 0.93, 0.97), uncorrected=Interval(0.8, 0.78, 0.82))
    page = read(client, f"/w-matrices/{sample.make_listing(quality=more)}")
    for words in ("... last 32 tokens read 0.950 0.930 0.970", "... tokens unknown 0.800 0.780 0.820"):
        assert words in page


def test_a_listing_shows_its_cells_its_scope_and_the_specifications_targets(client, registry):
    identifier = sample.make_listing(quality=sample.with_suite(), at=timezone.now())
    page = read(client, f"/w-matrices/{identifier}")
    for words in (
        "Certified for contexts of up to 1024 tokens in any register of suite/1",
        "worst: code at 1024 tokens, at least 0.690.",
        "What ends the scope: code at 2048 tokens: retention may be as low as 0.490",
        "Retention by register and context length on suite/1",
        "code 256 24 0.750 [0.730, 0.770] 0.700 [0.680, 0.720]",
        f"news 1 024 4 {' '.join([DASH] * 13)} not measured",
        "sampled 256 24 0.400 [0.380, 0.420]",
        "cosine similarity > 0.90 0.910 met",
        "euclidean distance < 0.15 0.400 not met",
        "information retention > 0.92 0.750 not met",
    ):
        assert words in page
    assert page.count("fails") == 3  # in the picture, in its description, in the table


def test_a_listing_without_a_suite_has_no_such_table(client, certified, simulated):
    assert "By register and length" not in read(client, f"/w-matrices/{certified}")
    assert "The specification's targets" in read(client, f"/w-matrices/{certified}")
    assert "The specification's targets" not in read(client, f"/w-matrices/{simulated}")


def test_a_refused_listing_shows_the_reasons(client, registry):
    identifier = sample.make_listing(quality=sample.functional(0.4))
    assert "refused because: retention may be as low as 0.380" in read(client, f"/w-matrices/{identifier}")


def test_a_simulated_listing_carries_a_banner(client, simulated, certified):
    page = read(client, f"/w-matrices/{simulated}")
    assert "Simulated figures." in page
    assert "epsilon (simulated)" in page
    assert "The target model was not run" in page
    assert "Simulated figures." not in read(client, f"/w-matrices/{certified}")


def test_a_withdrawn_listing_keeps_its_record(client, certified):
    yank_version(certified, version="1.0.0", reason="Wrong corpus.", by=sample.CURATOR)
    page = read(client, f"/w-matrices/{certified}")
    assert "Nothing on offer." in page
    assert "Version 1.0.0 withdrawn: Wrong corpus." in page
    assert "Download" not in page
    assert "was withdrawn" in read(client, f"/w-matrices/{certified}?version=1.0.0")


def test_an_older_version_can_be_looked_at(client, certified):
    sample.publish(certified, "1.1.0", quality=sample.functional(0.5))
    assert "version 1.1.0" in read(client, f"/w-matrices/{certified}")
    assert "version 1.0.0" in read(client, f"/w-matrices/{certified}?version=1.0.0")


def test_a_report_that_cannot_be_read_is_said_to_be_so(client, registry):
    identifier = sample.make_listing()
    broken = StoredFile(blobs.put_bytes(b"{}"), 2)
    publish_version(
        identifier,
        published=sample.published("1.1.0", quality=sample.unmeasured(), report=broken),
        metadata=sample.METADATA,
    )
    assert "cannot be read" in read(client, f"/w-matrices/{identifier}")


def test_text_of_sellers_is_escaped(client, registry):
    identifier = sample.make_listing(description=FreeText("<script>alert(1)</script>"))
    assert "<script>alert(1)</script>" in read(client, f"/w-matrices/{identifier}")


@pytest.mark.parametrize("path", ["nothing", "nothing?version=1.0.0"])
def test_an_unknown_listing_is_a_page_not_found(client, db, path):
    assert "There is nothing at this address" in read(client, f"/w-matrices/{path}", status=404)


def test_an_unknown_version_is_a_page_not_found(client, certified):
    read(client, f"/w-matrices/{certified}?version=9.9.9", status=404)


def test_the_api_page_lists_addresses_and_codes(client, db):
    page = read(client, "/api/docs")
    for words in ("GET /api/w-matrices/best", "POST /api/w-matrices/verify", "QUALITY_BELOW_THRESHOLD 422"):
        assert words in page


def test_a_failure_has_a_page_of_its_own(registry):
    identifier = sample.make_listing()
    ListingVersion.objects.update(quality={"damaged": True})
    response = Client(raise_request_exception=False).get(f"/w-matrices/{identifier}")
    assert response.status_code == 500
    assert "Something went wrong on this side" in response.content.decode()


def test_the_first_page_shows_what_the_factory_has_under_way(client, db) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from latentmas.jobs.models import Job, State
    from latentmas.jobs.queries import FACTORY

    assert "Under way" not in client.get("/").content.decode()
    now = timezone.now()
    common = {"created_at": now, "deadline": now + timedelta(hours=1), "requested_by": FACTORY}
    pair = {"source": "smollm2-135m", "target": "gemma-3-270m", "until": "2030-01-01T00:00:00+00:00"}
    Job.objects.create(
        kind="factory.measured-pair", arguments=pair, state=State.RUNNING, started_at=now, stage="fit", done=1, total=4,
        **common,
    )  # fmt: skip
    Job.objects.create(kind="w-matrix.generate", arguments={}, **common | {"requested_by": "token:a"})
    page = client.get("/").content.decode()
    assert "<b>smollm2-135m to gemma-3-270m</b>: fit" in page
    assert "1 of 4" in page
    assert 'http-equiv="refresh"' in page
    assert "w-matrix.generate" not in page
