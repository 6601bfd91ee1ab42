"""Admin forms of a model's facts: they parse what was typed, and the commands validate it."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec
from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget

from latentmas.protocol.architecture import AttentionType, KeyNorm, PositionEncoding, RopeLayout
from latentmas.protocol.errors import LatentMASError
from latentmas.registry.commands import MAX_REASON
from latentmas.registry.facts import (
    ARCHITECTURE,
    DEFAULT_ATTENTION_THRESHOLD,
    MAX_NAME,
    MAX_TEXT,
    PRICE_TIERS,
    ModelFacts,
)
from latentmas.registry.fields import Document, IntegerRange, Words

NUMBERS = (
    "hidden_size",
    "num_layers",
    "num_attention_heads",
    "num_kv_heads",
    "head_dim",
    "vocab_size",
    "max_context",
    "sliding_window",
    "kv_lora_rank",
    "qk_rope_head_dim",
)
LAYERS = (
    "attention_type",
    "layer_pattern",
    "sliding_window",
    "local_theta",
    "key_norm",
    "attention_softcap",
    "qkv_bias",
)
ROPE = ("rope_theta", "rope_rotary_dim", "rope_layout", "rope_scaling")
FIELDSETS: Sequence[tuple[str | None, dict[str, Any]]] = (
    (None, {"fields": ("family", "open_weights", "hub_id", "aliases")}),
    (
        "Terms and prices",
        {"fields": ("licence_name", "licence_url", "popularity", "price_tier", "attention_threshold")},
    ),
    ("Shape (empty: not known)", {"fields": (*NUMBERS[:7], "tie_embeddings")}),
    ("Attention", {"fields": (*LAYERS, "kv_lora_rank", "qk_rope_head_dim")}),
    ("Positions", {"fields": ("position_encoding", *ROPE)}),
    ("Documented ranges and doubts", {"fields": ("documented_key_dim", "documented_dimension", "unsure", "note")}),
)
BESIDE_ARCHITECTURE = ("family", "open_weights", "price_tier", "attention_threshold")
IN_ARCHITECTURE = (
    *NUMBERS,
    "tie_embeddings",
    "attention_type",
    "layer_pattern",
    "local_theta",
    "key_norm",
    "attention_softcap",
    "qkv_bias",
    "position_encoding",
    "documented_key_dim",
    "documented_dimension",
    "unsure",
)
REASON_FIELD = forms.CharField(max_length=MAX_REASON, widget=AdminTextareaWidget(attrs={"rows": 2}))


def _number(**options: Any) -> forms.IntegerField:
    return forms.IntegerField(required=False, min_value=1, **options)


def _decimal(**options: Any) -> forms.FloatField:
    return forms.FloatField(required=False, min_value=0, **options)


def _choice(choices: Sequence[str], **options: Any) -> forms.TypedChoiceField:
    named = [("", "not known"), *((choice, choice) for choice in choices)]
    return forms.TypedChoiceField(required=False, choices=named, empty_value=None, **options)


def _yes_no() -> forms.NullBooleanField:
    return forms.NullBooleanField(required=False)


def _line(length: int = MAX_TEXT, **options: Any) -> forms.CharField:
    return forms.CharField(max_length=length, widget=AdminTextInputWidget, **options)


class FactsForm(forms.Form):
    """Every fact of a model as a typed field; an empty one is "not known"."""

    family = _line()
    open_weights = forms.BooleanField(required=False)
    hub_id = _line(MAX_NAME, required=False, empty_value=None)
    aliases = Words(required=False, help_text="Other spellings, separated by commas.")
    licence_name = _line(required=False, empty_value=None)
    licence_url = _line(required=False, empty_value=None)
    popularity = forms.IntegerField(required=False, min_value=0, max_value=100)
    price_tier = _choice(PRICE_TIERS)
    attention_threshold = forms.FloatField(min_value=0, max_value=1, initial=DEFAULT_ATTENTION_THRESHOLD)

    hidden_size = _number()
    num_layers = _number()
    num_attention_heads = _number()
    num_kv_heads = _number()
    head_dim = _number()
    vocab_size = _number()
    max_context = _number()
    tie_embeddings = _yes_no()

    attention_type = _choice(get_args(AttentionType))
    layer_pattern = Words(
        required=False,
        empty_value=None,
        help_text="One period of layer kinds: sliding, sliding, full. Empty: all alike.",
    )
    sliding_window = _number(help_text="Tokens a sliding layer attends to.")
    local_theta = _decimal(help_text="RoPE base of the sliding layers where it differs.")
    key_norm = _choice(get_args(KeyNorm))
    attention_softcap = _decimal()
    qkv_bias = _yes_no()
    kv_lora_rank = _number(help_text="MLA only.")
    qk_rope_head_dim = _number(help_text="MLA only.")

    position_encoding = _choice(get_args(PositionEncoding))
    rope_theta = _decimal()
    rope_rotary_dim = _number(help_text="Partial rotary only; empty: the whole head is rotated.")
    rope_layout = _choice(get_args(RopeLayout))
    rope_scaling = Document(
        required=False,
        help_text='As published, such as {"type": "llama3", "factor": 8, "original_max_position": 8192}.',
    )

    documented_key_dim = IntegerRange(required=False)
    documented_dimension = IntegerRange(required=False)
    unsure = Words(required=False, help_text="Facts above that were not confirmed, such as max_context or rope.theta.")
    note = forms.CharField(required=False, empty_value=None, widget=AdminTextareaWidget(attrs={"rows": 3}))

    def fact_values(self) -> dict[str, object]:
        """Return what was typed as facts, named as by `facts.flatten`."""
        typed = self.cleaned_data
        values: dict[str, object] = {name: typed[name] for name in BESIDE_ARCHITECTURE}
        values |= {ARCHITECTURE + name: typed[name] for name in IN_ARCHITECTURE}
        rope = {name.removeprefix("rope_"): typed[name] for name in ROPE}
        licence = {"name": typed["licence_name"] or "", "url": typed["licence_url"]}
        return values | {
            "hub_id": typed["hub_id"],
            "aliases": typed["aliases"],
            "licence": licence if any(licence.values()) else None,
            ARCHITECTURE + "rope": rope if any(value is not None for value in rope.values()) else None,
            ARCHITECTURE + "note": typed["note"],
        }

    def blame(self, error: LatentMASError) -> None:
        """Show an error of a command at the field it names, or above the form."""
        path = str(error.facts.get("field", "")).removeprefix(ARCHITECTURE).split(".")
        paths = ["_".join(path[:length]) for length in range(len(path), 0, -1)]
        aliases = {"rope": "position_encoding"}
        field = next((name for each in paths if (name := aliases.get(each, each)) in self.fields), None)
        self.add_error(field, f"{error.message}. {error.advice}".strip() if error.advice else error.message)


class RegisterForm(FactsForm):
    name = _line(MAX_NAME, help_text="Lower-case letters and digits, joined by single dots or dashes. Permanent.")


class CorrectForm(FactsForm):
    """`version` is the version of the model's stream when the form was opened."""

    reason = REASON_FIELD
    version = forms.IntegerField(widget=forms.HiddenInput)


class ReasonForm(forms.Form):
    """`versions` are the stream versions seen when the page was opened, one `name@version` a word."""

    reason = REASON_FIELD
    versions = forms.CharField(widget=forms.HiddenInput)

    def clean_versions(self) -> dict[str, int]:
        try:
            pairs = [word.rsplit("@", 1) for word in self.cleaned_data["versions"].split()]
            return {name: int(version) for name, version in pairs}
        except ValueError:
            raise forms.ValidationError("the page's record of versions is damaged; open it again") from None


def initial_of(facts: ModelFacts, popularity: int | None) -> dict[str, Any]:
    """Return the values with which a form shows the facts."""
    document: Mapping[str, Any] = msgspec.to_builtins(facts)
    architecture, licence = document["architecture"], document["licence"] or {}
    rope = architecture["rope"] or {}
    scaling = {name: value for name, value in (rope.get("scaling") or {}).items() if value is not None}
    return {
        **{name: document[name] for name in (*BESIDE_ARCHITECTURE, "hub_id", "aliases")},
        **{name: architecture[name] for name in (*IN_ARCHITECTURE, "note")},
        **{name: rope.get(name.removeprefix("rope_")) for name in ROPE},
        "rope_scaling": scaling or None,
        "licence_name": licence.get("name"),
        "licence_url": licence.get("url"),
        "popularity": popularity,
    }
