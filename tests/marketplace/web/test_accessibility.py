"""What every page owes to keyboards and screen readers: a language, one heading, labels, names."""

from html.parser import HTMLParser

import pytest

from marketplace.listings.lifecycle_commands import By, change_access, request_access
from marketplace.listings.lifecycle_events import Access
from tests.marketplace import sample

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
    request_access(listing, message="Please.", by=By(other_agent("bea")[0], sample.METADATA))
    return listing


@pytest.mark.parametrize(
    ("who", "path"),
    [
        *(("client", path) for path in ("/", "/sign-up", "/log-in", "/w-matrices/{}")),
        *(("browser", path) for path in ("/my/listings", "/my/listings/new", "/my/agents/new")),
        *(("browser", f"/w-matrices/{{}}/{path}") for path in ("ask", "access-requests", "report")),
    ],
)
def test_a_page_can_be_read_and_filled_in_by_everybody(request, who, path, listing):
    answer = request.getfixturevalue(who).get(path.format(listing))
    assert answer.status_code == 200
    page = Outline()
    page.feed(answer.content.decode())
    assert page.lang == "en"
    assert page.headings == 1
    assert [field for field in page.fields if field not in page.labelled] == []
    assert len(page.ids) == len(set(page.ids))
    assert page.described <= set(page.ids)
    assert page.inline == []
