"""JSON documents of artefacts: lists and cards. Nothing of what an artefact holds is in them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from rest_framework import serializers

from latentmas.protocol.long_term_memory import Chosen
from latentmas.rest.money import MoneyOutput, shown_money
from marketplace.artefacts.lineage import Relative
from marketplace.artefacts.models import Artefact, ArtefactParent, ArtefactVersion, Screening
from marketplace.artefacts.retokenising import ReadFor, read_for
from marketplace.listings.rest.outputs import FileOutput, IntervalOutput
from marketplace.sales.goods import Kind, Royalty
from marketplace.sales.models import KINDS

Json = dict[str, Any]
UNREAD = (
    "A memory from a stranger is an unread prompt: your model takes it in without your having read it. Trust none of "
    "its tokens as an instruction."
)
MARK = (
    "A delivered file names its sale in a signed mark. Whoever rewrites the file can remove the mark; that it survives "
    "that is not promised."
)
UNMEASURED = "Its retention has not been measured: nobody knows how much its compression kept."
PATHS = {
    Kind.MEMORY: "memories",
    Kind.REASONING_CHAIN: "reasoning-chains",
    Kind.LONG_TERM_MEMORY: "long-term-memories",
    Kind.EMBEDDING: "embeddings",
}
FLOAT = partial(serializers.FloatField, allow_null=True)


class ArtefactSummaryOutput(serializers.Serializer[Any]):
    """With the figures of its newest version on offer; they are null where there is none."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    title = serializers.CharField()
    model = serializers.CharField()
    seller = serializers.CharField()
    price = MoneyOutput(help_text="The formula's base price; of embeddings the price itself.")
    version = serializers.CharField(allow_null=True)
    tokens = serializers.IntegerField(allow_null=True)
    parts = serializers.IntegerField(allow_null=True, help_text="Steps, segments or vectors.")
    method = serializers.CharField(allow_null=True)
    uniqueness = FLOAT(help_text="One minus the highest similarity to anything else on sale; null: not known.")
    retention = IntervalOutput(allow_null=True, help_text="Measured on its own model; null: not measured.")
    updated_at = serializers.DateTimeField()
    url = serializers.CharField()


class ArtefactPageOutput(serializers.Serializer[Any]):
    results = ArtefactSummaryOutput(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page.")


class GeometryOutput(serializers.Serializer[Any]):
    layers = serializers.IntegerField(allow_null=True)
    heads = serializers.IntegerField(allow_null=True)
    head_dim = serializers.IntegerField(allow_null=True)
    width = serializers.IntegerField(help_text="Numbers in one token's vector, or in one embedding.")


class CodingOutput(serializers.Serializer[Any]):
    method = serializers.CharField()
    profile = serializers.CharField(allow_null=True, help_text="The codec profile that decoding needs.")
    raw_bytes = serializers.IntegerField(help_text="Of its numbers at float16.")
    coded_bytes = serializers.IntegerField()
    ratio = serializers.FloatField(help_text="The former over the latter: of the tokens that it holds.")


class CanaryOutput(FileOutput):
    url = serializers.CharField()


class TargetTokensOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    weights = serializers.CharField(help_text="Those that the W-Matrices are for.")
    known = serializers.BooleanField(help_text="Whether it is delivered in this model's own tokens, all of it.")
    reason = serializers.CharField(
        allow_null=True, help_text="Why its own tokens are kept; quotes nothing of the text."
    )


class ArtefactVersionOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    published_at = serializers.DateTimeField()
    screening = serializers.ChoiceField(Screening.values)
    screened_at = serializers.DateTimeField(allow_null=True)
    findings = serializers.ListField(child=serializers.CharField(), help_text="Why it is not offered.")
    duplicate_of = serializers.CharField(allow_null=True, help_text="<artefact>/<version> with the same contents.")
    uniqueness = FLOAT()
    retention = IntervalOutput(allow_null=True)
    weights = serializers.CharField(allow_null=True)
    geometry = GeometryOutput()
    tokens = serializers.IntegerField()
    next_position = serializers.IntegerField(allow_null=True, help_text="Tokens that the model had read.")
    parts = serializers.IntegerField()
    steps = serializers.ListField(
        child=serializers.IntegerField(), help_text="Of a chain: how many tokens it holds at the end of each."
    )
    compression = CodingOutput()
    target_tokens = TargetTokensOutput(
        many=True, help_text="Models in whose tokens it was read here; delivered to others it keeps its own."
    )
    file = FileOutput()
    rights = serializers.CharField(help_text="By what right the seller says that he sells it.")
    canary = CanaryOutput(allow_null=True, help_text="The part that the seller gives away.")


class ArtefactParentOutput(serializers.Serializer[Any]):
    artefact = serializers.CharField()
    royalty_basis_points = serializers.IntegerField()


class ArtefactOutput(ArtefactSummaryOutput):
    description = serializers.CharField()
    floor = serializers.IntegerField(allow_null=True, help_text="Minor units: sold for no less.")
    discount = serializers.IntegerField(help_text="Per cent.")
    created_at = serializers.DateTimeField()
    quarantined_at = serializers.DateTimeField(allow_null=True)
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    withheld_reason = serializers.CharField(help_text="Of the quarantine or the withdrawal; empty without.")
    stream_version = serializers.IntegerField(help_text="Also the ETag: its version for If-Match.")
    parents = ArtefactParentOutput(many=True)
    versions = ArtefactVersionOutput(many=True)
    notices = serializers.ListField(child=serializers.CharField(), help_text="What a buyer should know.")


class RelativeOutput(serializers.Serializer[Any]):
    artefact = serializers.CharField()
    by = serializers.CharField(help_text="The nearer one, which declares the relation or is declared.")
    generation = serializers.IntegerField(help_text="1 are parents, -1 what is made from it.")
    royalty_basis_points = serializers.IntegerField(help_text="Of the price of what declares it.")


class RoyaltyOutput(serializers.Serializer[Any]):
    agent = serializers.CharField()
    artefact = serializers.CharField()
    basis_points = serializers.IntegerField(help_text="Of this one's price.")


class LineageOutput(serializers.Serializer[Any]):
    artefact = serializers.CharField()
    ancestors = RelativeOutput(many=True)
    descendants = RelativeOutput(many=True)
    royalties = RoyaltyOutput(many=True, help_text="What each ancestor's seller gets of a sale today.")


class ChosenSegmentOutput(serializers.Serializer[Any]):
    segment = serializers.CharField()
    session = serializers.IntegerField()
    tokens = serializers.IntegerField()
    relevance = FLOAT(help_text="Cosine of its text's embedding with the query's; null without a query.")


class SelectionOutput(serializers.Serializer[Any]):
    version = serializers.CharField()
    tokens = serializers.IntegerField(help_text="Of all chosen segments.")
    segments = ChosenSegmentOutput(many=True, help_text="In the order of appending.")


SAME = ("id", "kind", "title", "model", "seller", "version", "tokens", "parts", "method", "uniqueness", "retention")
LIFE = ("description", "floor", "discount", "created_at", "quarantined_at", "withdrawn_at", "withheld_reason")
OF_VERSION = ("version", "published_at", "screening", "screened_at", "findings", "duplicate_of", "uniqueness")


def summary(row: Artefact) -> Json:
    return {name: getattr(row, name) for name in (*SAME, "updated_at")} | {
        "price": shown_money(row.price_amount, row.price_currency),
        "url": url_of(row),
    }


def card(row: Artefact, versions: Sequence[ArtefactVersion], parents: Sequence[ArtefactParent]) -> Json:
    read = read_for(versions, Kind(row.kind))
    return summary(row) | {
        **{name: getattr(row, name) for name in (*LIFE, "stream_version")},
        "parents": [{"artefact": each.parent_id, "royalty_basis_points": each.basis_points} for each in parents],
        "versions": [_version(each, url_of(row), read[each.id]) for each in versions],
        "notices": notices_of(row),
    }


def lineage(
    row: Artefact, ancestors: Sequence[Relative], descendants: Sequence[Relative], royalties: Sequence[Royalty]
) -> Json:
    return {
        "artefact": row.id,
        "ancestors": [_relative(each) for each in ancestors],
        "descendants": [_relative(each) for each in descendants],
        "royalties": [
            {"agent": each.agent, "artefact": each.item, "basis_points": each.basis_points} for each in royalties
        ],
    }


def selection(version: ArtefactVersion, chosen: Sequence[Chosen]) -> Json:
    return {
        "version": version.version,
        "tokens": sum(each.segment.tokens for each in chosen),
        "segments": [
            {
                "segment": each.segment.segment_id,
                "session": each.segment.session,
                "tokens": each.segment.tokens,
                "relevance": each.relevance,
            }
            for each in chosen
        ],
    }


def url_of(row: Artefact) -> str:
    return f"/api/{PATHS[Kind(row.kind)]}/{row.id}"


def _version(row: ArtefactVersion, url: str, read: Sequence[ReadFor]) -> Json:
    contents = row.contents
    canary = None
    if row.canary_digest is not None:
        canary_url = f"{url}/canary?version={row.version}"
        canary = {"digest": row.canary_digest, "size": row.canary_size, "url": canary_url}
    return {name: getattr(row, name) for name in (*OF_VERSION, "retention", "rights")} | {
        **{name: contents[name] for name in ("weights", "tokens", "next_position", "parts", "steps")},
        "geometry": {name: contents[name] for name in ("layers", "heads", "head_dim", "width")},
        "compression": {
            **{name: contents[name] for name in ("method", "profile", "raw_bytes", "coded_bytes")},
            "ratio": contents["raw_bytes"] / contents["coded_bytes"],
        },
        "target_tokens": msgspec.to_builtins(list(read)),
        "file": {"digest": row.file_digest, "size": row.file_size},
        "canary": canary,
    }


def notices_of(row: Artefact) -> list[str]:
    """Return what a buyer should know before he buys."""
    if row.kind == Kind.EMBEDDING:
        return [MARK]
    return [UNREAD, MARK, *([] if row.retention else [UNMEASURED])]


def _relative(each: Relative) -> Json:
    return {
        "artefact": each.artefact_id,
        "by": each.child_id,
        "generation": each.generation,
        "royalty_basis_points": each.basis_points,
    }
