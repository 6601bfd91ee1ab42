"""Curators look at sales, and refund those that are not their own."""

from collections.abc import Callable

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from marketplace.sales.models import Sale
from tests.marketplace.sales.toys import bought, funds

pytestmark = pytest.mark.django_db
Member = Callable[..., Client]
SALES = reverse("admin:sales_sale_changelist")


def refund(client: Client, sale: str, **form: object) -> str:
    answer = client.post(SALES, {"action": "refund", ACTION_CHECKBOX_NAME: [sale], **form})
    return answer.content.decode()


def test_a_refund_is_explained_and_asks_for_its_reason(maker: str, buyer: str, member: Member) -> None:
    curator, sale = member("curator"), bought(buyer)
    assert "in proportion to what each has left" in refund(curator, sale)
    assert "This field is required" in refund(curator, sale, apply="yes")
    refund(curator, sale, apply="yes", reason="defective", amount=100)
    refund(curator, sale, apply="yes", reason="goodwill")
    assert (Sale.objects.get(id=sale).status, funds(buyer), funds(maker)) == ("refunded", 10_000, 0)
    assert "0 of 1000 are left to refund" in refund(curator, sale, apply="yes", reason="goodwill")
    detail = curator.get(reverse("admin:sales_sale_change", args=[sale])).content.decode()
    assert detail.count("sale.refunded") == 2


def test_no_curator_refunds_what_he_bought_himself(maker: str, buyer: str, member: Member) -> None:
    sale = bought(buyer)
    curator = member("curator", User.objects.get(username="buyer"))
    assert "you act for the agent" in refund(curator, sale, apply="yes", reason="goodwill")
    assert funds(buyer) == 9_000


@pytest.mark.parametrize("group", ["certifier", "support", "auditor"])
def test_nobody_else_refunds(maker: str, buyer: str, member: Member, group: str) -> None:
    sale = bought(buyer)
    refund(member(group), sale, apply="yes", reason="goodwill")
    assert Sale.objects.get(id=sale).status == "captured"
