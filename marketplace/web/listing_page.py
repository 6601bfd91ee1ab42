"""What the page of one version shows: its figures, the charts drawn from them, and the same figures as tables."""

from datetime import datetime
from typing import Any

from latentmas.protocol.errors import LatentMASError
from latentmas.protocol.quality import REREAD_TOKENS, LayerFidelity, Quality, Retention
from marketplace.listings.certificates import quality_of, reasons_of, status_of
from marketplace.listings.models import ListingVersion
from marketplace.listings.reports import report_of
from marketplace.web.charts import Arm, Series, layer_chart, retention_chart


def figures_of(row: ListingVersion, *, at: datetime) -> dict[str, Any]:
    """Return the template's figures of a version; a report that cannot be read is said to be so."""
    quality = quality_of(row)
    figures: dict[str, Any] = {
        "quality": quality,
        "retention": quality.retention,
        "retrieval": quality.retrieval,
        "simulated": row.basis == "simulated",
        "certification_status": status_of(row, at=at),
        "reasons": reasons_of(row),
        "tier": row.tier_at(at),
    }
    if quality.retention is not None:
        figures["arms"] = arms = arms_of(quality, quality.retention)
        figures["retention_chart"] = retention_chart(arms)
    try:
        layers = report_of(row).layers
    except LatentMASError as error:
        return figures | {"report_error": error.message}
    if layers:
        figures |= {"layers": layers, "layer_chart": layer_chart(series_of(layers))}
    return figures


def arms_of(quality: Quality, retention: Retention) -> list[Arm]:
    others = {f"... last {REREAD_TOKENS} tokens read": quality.reread, "... tokens unknown": quality.uncorrected}
    return [
        Arm("This W-Matrix", retention.aligned, "own"),
        *(Arm(label, interval, "own") for label, interval in others.items() if interval is not None),
        Arm("Last half as text", retention.text_half, "text"),
        Arm("Last quarter as text", retention.text_quarter, "text"),
        Arm("Last eighth as text", retention.text_eighth, "text"),
        Arm("Wrong document", retention.wrong_document, "control"),
        Arm("Random W", retention.random_w, "control"),
    ]


def series_of(layers: tuple[LayerFidelity, ...]) -> list[Series]:
    return [
        Series("attention output", [layer.attention_cosine for layer in layers], "attention"),
        Series("key cosine", [layer.key_cosine for layer in layers], "key"),
        Series("value cosine", [layer.value_cosine for layer in layers], "value"),
    ]
