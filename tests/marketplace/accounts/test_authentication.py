"""Who is let in with which token, tried on an address that computes."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone
from rest_framework.decorators import api_view, permission_classes
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from latentmas.protocol.errors import InvalidInput
from latentmas.rest.permissions import ComputeKVCaches, ScopePermission
from latentmas.rest.scopes import KV_CACHE_COMPUTE, MARKETPLACE_ADMIN
from marketplace.accounts.commands import create_token, revoke_token
from marketplace.accounts.models import ApiToken

pytestmark = pytest.mark.django_db


class Another(ScopePermission):
    scope = "another:scope"


@api_view(["POST"])
@permission_classes([ComputeKVCaches])
def compute(request):
    return Response({"user": request.user.get_username()})


@api_view(["POST"])
@permission_classes([Another])
def something_else(request):
    return Response({})


def send(header=None, view=compute):
    headers = {} if header is None else {"HTTP_AUTHORIZATION": header}
    return view(APIRequestFactory().post("/api/x", **headers))


@pytest.fixture
def token(token_with):
    return token_with(KV_CACHE_COMPUTE)


def test_a_valid_token_acts_for_its_owner(token):
    assert send(f"Bearer {token}").data == {"user": "alice"}
    assert send(f"bearer  {token}").status_code == 200


def test_its_use_is_recorded_to_the_minute(token, django_assert_num_queries):
    assert ApiToken.objects.get().last_used_at is None
    with django_assert_num_queries(2):
        send(f"Bearer {token}")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        send(f"Bearer {token}")
    assert ApiToken.objects.get().last_used_at == first


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "lmas_",
        "nonsense",
        "lmas_000000000000_" + "A" * 43,
        "lmas_000000000000_" + "A" * 43 + "\x00",
        "lmas_" + "é" * 56,
    ],
)
def test_what_is_no_token_is_not_let_in(alice, wrong):
    response = send(f"Bearer {wrong}")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="LatentMAS"'


def test_the_id_of_a_token_without_its_secret_says_nothing(token):
    revoke_token(ApiToken.objects.get().id)
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert b"revoked" not in send(f"Bearer {changed}").content


def test_a_revoked_or_expired_token_says_so(alice, token):
    revoke_token(ApiToken.objects.get().id)
    response = send(f"Bearer {token}")
    assert (response.status_code, b"is revoked" in response.content) == (401, True)
    ApiToken.objects.update(revoked_at=None, expires_at=timezone.now() - timedelta(seconds=1))
    response = send(f"Bearer {token}")
    assert (response.status_code, b"is expired" in response.content) == (401, True)


def test_the_token_of_a_closed_account_is_worth_nothing(alice, token):
    alice.is_active = False
    alice.save()
    assert send(f"Bearer {token}").status_code == 401


def test_without_any_token_one_is_asked_for():
    response = send()
    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="LatentMAS"')


def test_a_token_without_the_scope_is_turned_away_with_what_it_has(token):
    response = send(f"Bearer {token}", view=something_else)
    assert response.status_code == 403
    assert b"lacks the scope 'another:scope'; it has kv-cache:compute" in response.content


def test_another_scheme_is_not_ours_to_judge(alice):
    assert send("Basic YWxpY2U6eA==").status_code == 401


class Curate(ScopePermission):
    scope = MARKETPLACE_ADMIN


@api_view(["POST"])
@permission_classes([Curate])
def curate(request):
    return Response({})


def test_a_restricted_scope_needs_the_permission_of_its_account_at_every_request(alice):
    with pytest.raises(InvalidInput, match="may not use 'marketplace:admin'"):
        create_token(alice, name="hers", scopes=[MARKETPLACE_ADMIN])
    permission = Permission.objects.get(codename="curate")
    alice.user_permissions.add(permission)
    _, token = create_token(User.objects.get(pk=alice.pk), name="hers", scopes=[MARKETPLACE_ADMIN])
    assert send(f"Bearer {token}", view=curate).status_code == 200
    alice.user_permissions.remove(permission)
    assert send(f"Bearer {token}", view=curate).status_code == 403


def test_a_session_has_no_restricted_scope_by_itself(alice):
    request = APIRequestFactory().post("/api/x")
    force_authenticate(request, alice)
    assert curate(request).status_code == 403
