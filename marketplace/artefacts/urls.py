"""REST addresses of artefacts, below /api/: the same for every kind."""

from collections.abc import Iterator

from django.urls import URLPattern, path

from marketplace.artefacts import api, buying_api, changing_api
from marketplace.artefacts.shelves import SHELVES, Shelf
from marketplace.sales.goods import Kind


def _addresses(shelf: Shelf) -> Iterator[URLPattern]:
    one = f"{shelf.path}/<str:artefact_id>"
    yield path(shelf.path, api.artefacts(shelf), name=shelf.path)
    yield path(one, api.card(shelf), name=f"{shelf.path}-card")
    yield path(f"{one}/lineage", api.lineage(shelf), name=f"{shelf.path}-lineage")
    yield path(f"{one}/canary", api.canary(shelf), name=f"{shelf.path}-canary")
    yield path(f"{one}/quote", buying_api.quote(shelf), name=f"{shelf.path}-quote")
    yield path(f"{one}/use", buying_api.use(shelf), name=f"{shelf.path}-use")
    if shelf.kind is Kind.EMBEDDING:
        yield path(f"{one}/file", buying_api.file(shelf), name=f"{shelf.path}-file")
    if shelf.next is not None:
        yield path(f"{one}/versions", changing_api.versions(shelf), name=f"{shelf.path}-versions")
    if shelf.kind is Kind.LONG_TERM_MEMORY:
        yield path(f"{one}/segments", changing_api.segments(shelf), name=f"{shelf.path}-segments")
        yield path(f"{one}/select", buying_api.select(shelf), name=f"{shelf.path}-select")
    yield path(f"{one}/price", changing_api.price(shelf), name=f"{shelf.path}-price")
    yield path(f"{one}/withdraw", changing_api.withdraw(shelf), name=f"{shelf.path}-withdraw")
    yield path(f"{one}/quarantine", changing_api.quarantine(shelf), name=f"{shelf.path}-quarantine")
    yield path(f"{one}/release", changing_api.release(shelf), name=f"{shelf.path}-release")


urlpatterns = [address for shelf in SHELVES for address in _addresses(shelf)]
