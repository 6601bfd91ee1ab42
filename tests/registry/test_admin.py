from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from latentmas.events import store
from latentmas.registry import commands
from latentmas.registry.models import RegisteredModel
from tests.registry.conftest import CURATOR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("loaded")]

LIST = "/admin/registry/registeredmodel/"
LLAMA = f"{LIST}llama-3-8b/change/"


@pytest.fixture
def curator(client: Client) -> Client:
    """A client logged in as a member of staff who may add and change models, and nothing else."""
    user = User.objects.create_user("curie", is_staff=True)
    rights = Permission.objects.filter(content_type__app_label="registry", codename__endswith="_registeredmodel")
    user.user_permissions.set(rights)
    client.force_login(user)
    return client


def typed(client: Client, address: str, **changes: Any) -> dict[str, Any]:
    """Return what a browser would send: the form as it was opened, with some fields typed anew."""
    form = client.get(address).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in (values | changes).items() if value is not None}
    yes_no = {True: "true", False: "false"}  # NullBooleanSelect's words; a checkbox reads them too
    return {name: yes_no[value] if isinstance(value, bool) else value for name, value in sent.items()}


def errors(response: Any) -> dict[str, list[str]]:
    return dict(response.context["adminform"].form.errors)


def version(name: str = "llama-3-8b") -> int:
    return store.stream_version(f"model/{name}")


def test_the_list_is_searched_by_alias_and_filtered(curator: Client) -> None:
    page = curator.get(LIST, {"q": "Meta-Llama-3.1"})
    assert [row.name for row in page.context["cl"].result_list] == ["llama-3.1-405b", "llama-3.1-70b", "llama-3.1-8b"]
    closed = curator.get(LIST, {"open_weights__exact": 0})
    assert closed.context["cl"].result_count == 14


def test_the_list_takes_a_constant_number_of_queries(curator: Client, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(12):
        assert curator.get(LIST).status_code == 200


def test_saving_an_untouched_form_changes_nothing(curator: Client) -> None:
    for name in RegisteredModel.objects.values_list("name", flat=True):
        address = f"{LIST}{name}/change/"
        response = curator.post(address, typed(curator, address, reason="looked at it"))
        assert response.status_code == 302, errors(response)
    assert store.head_position() == 74


def test_a_correction_becomes_an_event_of_the_curator(curator: Client) -> None:
    sent = typed(curator, LLAMA, max_context=9000, rope_scaling='{"type": "linear", "factor": 2}', reason="model card")
    response = curator.post(LLAMA, sent, follow=True)
    assert response.redirect_chain[-1][0] == LLAMA
    event = store.read_stream("model/llama-3-8b")[-1]
    assert event.metadata.actor == f"user:{User.objects.get().pk}"
    assert event.data.reason == "model card"
    assert [change.fact for change in event.data.changes] == ["architecture.max_context", "architecture.rope"]
    shape = RegisteredModel.objects.get(name="llama-3-8b").shape
    assert shape.max_context == 9000
    assert shape.rope is not None
    assert shape.rope.scaling is not None
    assert (shape.rope.theta, shape.rope.scaling.factor) == (5e5, 2.0)


def test_a_fact_can_become_unknown(curator: Client) -> None:
    sent = typed(curator, LLAMA, hidden_size="", licence_name="", licence_url="", price_tier="", reason="not confirmed")
    assert curator.post(LLAMA, sent).status_code == 302
    row = RegisteredModel.objects.get(name="llama-3-8b")
    assert (row.shape.hidden_size, row.licence, row.price_tier) == (None, None, None)


def test_popularity_changes_in_an_event_of_its_own(curator: Client) -> None:
    sent = typed(curator, LLAMA, popularity=88, family="Llama", reason="survey")
    curator.post(LLAMA, sent)
    assert [event.type for event in store.read_stream("model/llama-3-8b")] == [
        "model.registered",
        "model.facts_corrected",
        "model.popularity_changed",
    ]


def test_the_timeline_says_who_did_what_when_and_why(curator: Client) -> None:
    curator.post(LLAMA, typed(curator, LLAMA, popularity=88, rope_theta=600000, reason="survey of May"))
    page = curator.get(LLAMA)
    newest, corrected, registered = page.context["timeline"]
    assert (newest.who, newest.what, newest.reason) == ("curie", ("popularity 87 -> 88",), "survey of May")
    assert corrected.what == ("rope theta 500000.0 -> 600000.0",)
    assert (registered.who, registered.version) == ("command:load_registry", 1)
    text = page.content.decode()
    assert "popularity 87 -&gt; 88" in text
    assert newest.when.strftime("%Y-%m-%d %H:%M:%S UTC") in text


def test_a_conflict_says_so_saves_nothing_and_keeps_what_was_typed(curator: Client) -> None:
    sent = typed(curator, LLAMA, max_context=9000, reason="model card")
    commands.change_popularity(name="llama-3-8b", popularity=99, metadata=CURATOR)
    response = curator.post(LLAMA, sent)
    assert response.status_code == 200
    assert "(version 1 is now 2)" in errors(response)["__all__"][0]
    assert response.context["moved"] == (
        "Popularity: you have 87, the registry has 99",
        "Max context: you have 9000, the registry has 8192",
    )
    form = response.context["adminform"].form
    assert (form["max_context"].value(), form["reason"].value(), form["version"].value()) == ("9000", "model card", "2")
    assert version() == 2
    assert RegisteredModel.objects.get(name="llama-3-8b").shape.max_context == 8192


def test_after_a_conflict_the_second_save_is_deliberate_and_works(curator: Client) -> None:
    sent = typed(curator, LLAMA, max_context=9000, reason="model card")
    commands.change_popularity(name="llama-3-8b", popularity=99, metadata=CURATOR)
    form = curator.post(LLAMA, sent).context["adminform"].form
    assert curator.post(LLAMA, {**form.data.dict(), "popularity": "99"}).status_code == 302
    row = RegisteredModel.objects.get(name="llama-3-8b")
    assert (row.popularity, row.shape.max_context, row.version) == (99, 9000, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_size", "wide"),
        ("hidden_size", "-1"),
        ("hidden_size", "9" * 30),
        ("num_layers", "2147483647"),
        ("num_kv_heads", "5"),
        ("popularity", "101"),
        ("attention_threshold", "0"),
        ("attention_threshold", "nan"),
        ("family", ""),
        ("family", "x" * 201),
        ("aliases", "a b"),
        ("aliases", "gpt-4"),
        ("aliases", "x" * 101),
        ("licence_name", ""),
        ("licence_url", "javascript:alert(1)"),
        ("attention_type", "causal"),
        ("layer_pattern", "sliding, full"),
        ("rope_theta", "0"),
        ("rope_rotary_dim", "300"),
        ("rope_scaling", "{"),
        ("rope_scaling", "[1]"),
        ("rope_scaling", '{"type": "linear", "speed": 2}'),
        ("rope_scaling", '{"type": "sideways"}'),
        ("documented_key_dim", "128-64"),
        ("documented_key_dim", "many"),
        ("unsure", "hidden_sise"),
        ("note", "a\x00b"),
        ("reason", ""),
        ("reason", "x" * 501),
        ("version", "x"),
    ],
)
def test_bad_input_is_an_error_of_its_field(curator: Client, field: str, value: str) -> None:
    sent = typed(curator, LLAMA, reason="a try") | {field: value}
    response = curator.post(LLAMA, sent)
    assert response.status_code == 200
    assert field in errors(response)
    assert version() == 1


def test_a_model_is_added(curator: Client) -> None:
    add = f"{LIST}add/"
    sent = typed(curator, add, name="tiny-1b", family="Example", num_layers=2, num_kv_heads=1, head_dim=8, popularity=5)
    assert curator.post(add, sent).status_code == 302
    row = RegisteredModel.objects.get(name="tiny-1b")
    assert (row.family, row.open_weights, row.kv_width, row.popularity, row.active) == ("Example", False, 32, 5, True)
    assert store.read_stream("model/tiny-1b")[0].metadata.actor == f"user:{User.objects.get().pk}"


@pytest.mark.parametrize(
    ("name", "field"), [("Bad Name", "name"), ("gpt-4", "name"), ("gpt-3.5-turbo", "name"), ("", "name")]
)
def test_it_rejects_a_new_model_with_a_bad_or_taken_name(curator: Client, name: str, field: str) -> None:
    add = f"{LIST}add/"
    response = curator.post(add, typed(curator, add, name=name, family="Example"))
    assert response.status_code == 200
    assert field in errors(response)
    assert RegisteredModel.objects.count() == 74


def test_models_are_deactivated_only_with_a_reason(curator: Client) -> None:
    chosen = {"action": "deactivate", "_selected_action": ["llama-3-8b", "bert"]}
    page = curator.post(LIST, chosen)
    assert [model.name for model in page.context["models"]] == ["bert", "llama-3-8b"]
    confirm = chosen | {"apply": "yes", "versions": page.context["form"]["versions"].value()}
    refused = curator.post(LIST, confirm | {"reason": " "})
    assert "reason" in refused.context["form"].errors
    assert RegisteredModel.objects.filter(active=False).count() == 0
    assert curator.post(LIST, confirm | {"reason": "no demand"}).status_code == 302
    assert set(RegisteredModel.objects.filter(active=False).values_list("name", "inactive_reason")) == {
        ("bert", "no demand"),
        ("llama-3-8b", "no demand"),
    }
    assert "Deactivated:</strong> no demand" in curator.get(LLAMA).content.decode()


def test_models_are_activated_again(curator: Client) -> None:
    commands.deactivate_model(name="bert", reason="no demand", metadata=CURATOR)
    chosen = {"action": "activate", "_selected_action": ["bert"]}
    versions = curator.post(LIST, chosen).context["form"]["versions"].value()
    curator.post(LIST, chosen | {"apply": "yes", "versions": versions, "reason": "demand"})
    assert RegisteredModel.objects.get(name="bert").active


def test_a_model_changed_meanwhile_stops_the_whole_action(curator: Client) -> None:
    chosen = {"action": "deactivate", "_selected_action": ["bert", "llama-3-8b"]}
    versions = curator.post(LIST, chosen).context["form"]["versions"].value()
    commands.change_popularity(name="llama-3-8b", popularity=99, metadata=CURATOR)
    confirm = chosen | {"apply": "yes", "versions": versions, "reason": "no demand"}
    page = curator.post(LIST, confirm)
    assert "Somebody else changed" in page.context["form"].errors["__all__"][0]
    assert page.context["form"]["reason"].value() == "no demand"
    assert not RegisteredModel.objects.filter(active=False).exists()
    again = page.context["form"]["versions"].value()
    assert curator.post(LIST, confirm | {"versions": again}).status_code == 302
    assert RegisteredModel.objects.filter(active=False).count() == 2


@pytest.mark.parametrize("versions", ["", "bert", "bert@x", "llama-3-8b@1"])
def test_it_rejects_an_action_without_the_versions_seen(curator: Client, versions: str) -> None:
    confirm = {
        "action": "deactivate",
        "_selected_action": ["bert"],
        "apply": "yes",
        "reason": "r",
        "versions": versions,
    }
    response = curator.post(LIST, confirm)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert RegisteredModel.objects.get(name="bert").active


def test_nothing_is_deleted(curator: Client) -> None:
    assert curator.post(f"{LIST}bert/delete/", {"post": "yes"}).status_code == 403
    curator.post(LIST, {"action": "delete_selected", "_selected_action": ["bert"], "post": "yes"})
    assert RegisteredModel.objects.filter(name="bert").exists()


def test_who_may_only_look_sees_the_facts_and_saves_nothing(client: Client) -> None:
    user = User.objects.create_user("visitor", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_registeredmodel"))
    client.force_login(user)
    page = client.get(LLAMA)
    assert 'type="submit" value="Save"' not in page.content.decode()
    assert client.post(LLAMA, {"family": "X"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert version() == 1


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    response = client.get(LLAMA)
    assert response.status_code == 302
    assert reverse("admin:login") in response["Location"]


def test_an_unknown_model_leads_back_with_a_message(curator: Client) -> None:
    response = curator.get(f"{LIST}nobody/change/", follow=True)
    assert response.status_code == 200
    assert "exist" in str(next(iter(response.context["messages"])))


def test_history_leads_to_the_timeline(curator: Client) -> None:
    assert curator.get(f"{LIST}llama-3-8b/history/")["Location"] == f"{LLAMA}#timeline"


def test_the_events_behind_the_timeline_are_read_only(admin_client: Client) -> None:
    position = store.read_stream("model/llama-3-8b")[0].position
    address = reverse("admin:events_event_change", args=[position])
    assert address in admin_client.get(LLAMA).content.decode()
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"payload": "{}"}).status_code == 403
