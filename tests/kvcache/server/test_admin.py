import pytest

from kvcache.server.models import CodecProfile, CompressionRun
from tests.kvcache.server.test_reading_api import published, ran

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registry", "own_files")]
RUNS = "/admin/kvcache/compressionrun/"
PROFILES = "/admin/kvcache/codecprofile/"


def test_runs_are_listed_with_what_was_measured(admin_client):
    ran(cold=True, compile_ms=880.5, coverage=0.93)
    page = admin_client.get(RUNS).content.decode()
    assert "4.00" in page
    assert "0.9300" in page
    assert "880.50" in page
    assert "not measured" in page  # nothing was decompressed


def test_the_list_takes_a_constant_number_of_queries(admin_client, django_assert_max_num_queries):
    for _ in range(30):
        ran()
    with django_assert_max_num_queries(12):
        assert admin_client.get(RUNS).status_code == 200


def test_profiles_show_their_best_measured_point(admin_client):
    published()
    assert "39.0x at KL 0.036" in admin_client.get(PROFILES).content.decode()


def test_nothing_is_added_changed_or_deleted_by_hand(admin_client):
    published()
    ran()
    for address, row in ((RUNS, CompressionRun.objects.get()), (PROFILES, CodecProfile.objects.get())):
        assert admin_client.get(f"{address}add/").status_code == 403
        assert admin_client.post(f"{address}{row.pk}/change/", {"model": "x"}).status_code == 403
        assert admin_client.post(f"{address}{row.pk}/delete/", {"post": "yes"}).status_code == 403
