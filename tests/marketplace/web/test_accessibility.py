"""What every page owes to keyboards and screen readers: a language, one heading, labels, names."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import marketplace.web
from marketplace.claims import promises
from marketplace.listings.events.lifecycle import Access
from marketplace.listings.lifecycle.commands import By, change_access, request_access
from marketplace.sales.goods import Delivery, Kind
from marketplace.sales.quotes import quote
from tests.marketplace import sample
from tests.marketplace.web.certified import certified_of
from tests.marketplace.web.selling import bought

pytestmark = pytest.mark.django_db
UNLABELLED = ("hidden", "submit")


class Outline(HTMLParser):
    """Collects what is checked of a page."""

    def __init__(self):
        super().__init__()
        self.labelled, self.fields, self.ids, self.described = set(), [], [], set()
        self.headings, self.lang, self.inline, self.within_label = 0, None, [], False

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.lang = given.get("lang", self.lang)
        self.headings += tag == "h1"
        self.described |= set(given.get("aria-describedby", "").split())
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "script" and "src" not in given:
            self.inline.append("script")
        if tag == "label":
            self.within_label = True
            self.labelled.add(given.get("for"))
        if tag in ("input", "select", "textarea") and given.get("type") not in UNLABELLED and not self.within_label:
            self.fields.append(given.get("id"))

    def handle_endtag(self, tag):
        if tag == "label":
            self.within_label = False


@pytest.fixture
def listing(registry, seller, other_agent):
    listing = sample.make_listing(seller=seller)
    change_access(listing, access=Access.GATED, by=sample.CURATOR)
    request_access(listing, message="Please.", by=By(other_agent("rosa")[0], sample.METADATA))
    return listing


@pytest.fixture
def shop(seller, bea, memory):
    return {"seller": seller, "memory": memory, "sale": bought(bea, memory)}


def test_the_quote_can_be_read_and_confirmed_by_everybody(buying, bea, memory):
    page = Outline()
    page.feed(buying.post(f"/buy/memory/{memory}", {"agent": bea, "form": "compressed"}).content.decode())
    assert page.headings == 1
    assert page.inline == []
    assert [field for field in page.fields if field not in page.labelled] == []


@pytest.mark.parametrize(
    ("who", "path"),
    [
        *(("client", path) for path in ("/", "/sign-up", "/log-in", "/w-matrices/{}")),
        *(("browser", path) for path in ("/my/listings", "/my/listings/new", "/my/agents/new")),
        *(("browser", f"/w-matrices/{{}}/{path}") for path in ("ask", "access-requests", "report")),
        *(
            ("client", path)
            for path in ("/market", "/market?kind=embedding", "/memories/{memory}", "/sellers/{seller}")
        ),
        *(("buying", f"/{path}") for path in ("memories/{memory}", "buy/memory/{memory}", "my/purchases/{sale}")),
        *(("buying", f"/my/{path}") for path in ("purchases", "sales", "wallet", "purchases/{sale}/dispute")),
        *(("browser", f"/my/{path}") for path in ("memories", "memories/new", "purchases/{sale}/dispute")),
        *(("browser", f"/memories/{{memory}}/{path}") for path in ("versions/new", "price", "withdraw")),
    ],
)
def test_a_page_can_be_read_and_filled_in_by_everybody(request, who, path, listing, shop):
    answer = request.getfixturevalue(who).get(path.format(listing, **shop))
    assert answer.status_code == 200
    page = Outline()
    page.feed(answer.content.decode())
    assert page.lang == "en"
    assert page.headings == 1
    assert [field for field in page.fields if field not in page.labelled] == []
    assert len(page.ids) == len(set(page.ids))
    assert page.described <= set(page.ids)
    assert page.inline == []


def test_the_texts_for_a_purchase_can_be_named_by_everybody(buying, bea, seller, registry, monkeypatch):
    monkeypatch.setattr(promises, "installed_models", lambda: [sample.SOURCE, sample.TARGET])
    made = quote(Kind.W_MATRIX, certified_of(seller), delivery=Delivery(), buyer=bea)
    page = Outline()
    page.feed(buying.post("/my/purchases/new/texts", {"quote": made.token}).content.decode())
    assert page.headings == 1
    assert len(page.fields) == 3
    assert [field for field in page.fields if field not in page.labelled] == []


def luminance(colour):
    """Relative luminance of #rrggbb, by WCAG 2.2."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


TEXT_ON = [
    *((text, ground) for text in ("ink", "quiet", "accent", "control") for ground in ("paper", "raised", "sunken")),
    ("accent-ink", "accent"),
    ("warm", "warm-soft"),
    *((tier, f"{tier}-soft") for tier in ("platinum", "gold", "silver", "bronze")),
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_stands_out_from_its_ground(scheme, text, ground):
    sheet = (Path(marketplace.web.__file__).parent / "static/web/site.css").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in sheet.split("@media", 2)[:2])
    colours = (light, dark)[scheme]
    assert contrast(colours[text], colours[ground]) >= 4.5


def test_pages_allow_nothing_inline_and_nothing_from_elsewhere(client, listing):
    for path in ("/", f"/w-matrices/{listing}", "/log-in", "/nowhere", "/api/docs"):
        policy = client.get(path)["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
    assert "Content-Security-Policy" not in client.get("/api/w-matrices")
    assert "Content-Security-Policy" not in client.get("/admin/login/")
