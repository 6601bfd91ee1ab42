"""Two publications at the same moment."""

import pytest

from latentmas.protocol.errors import LatentMASError
from marketplace.artefacts.events import Parent
from marketplace.artefacts.made import Made, stored
from marketplace.artefacts.models import ArtefactParent, ArtefactVersion
from marketplace.artefacts.publication import Said, publish_version
from marketplace.listings.lifecycle.commands import By
from tests.events.threads import in_threads
from tests.marketplace.artefacts.sample import contents, on_sale
from tests.marketplace.sample import METADATA

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_two_declarations_close_a_cycle_together(seller):
    one, other = on_sale(seller), on_sale(seller)

    def declare(child, parent):
        said = Said("1.1.0", "My own.", invertible=True, parents=(Parent(parent, 0),))
        made = Made(stored(f"{child} again".encode()), contents())
        try:
            publish_version(child, said, made, by=By(seller, METADATA))
        except LatentMASError as error:
            return error.code
        return "published"

    found = in_threads(lambda: declare(one, other), lambda: declare(other, one))
    assert sorted(found) == ["LINEAGE_CYCLE", "published"]
    assert ArtefactParent.objects.count() == 1
    assert ArtefactVersion.objects.filter(version="1.1.0").count() == 1
