"""Judge a compressed cache (specification 1.3) by what is measured here, and label what the file only claims.

What a file says of itself (coverage, bytes of the original, KL bound) is the word of whoever made it: its basis is
`declared`, and it silences no warning. A figure that nobody knows is None. Information loss is 1 - retention where the
model was run, otherwise the share of the attention outputs' energy that is lost for the given queries: two different
quantities, so `loss_from` says which it is.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kvcache.adapters import ModelAdapter
from kvcache.attention.output import output_error
from kvcache.attention.queries import check_queries
from kvcache.attention.selection import coverage_of
from kvcache.compression.container import Container, read_kvz, unpack
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import MEASURED, Basis
from latentmas.protocol.snapshot import MAX_BYTES, KVSnapshot, needed
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from kvcache.coding.profile import OpenedProfile

Figures: TypeAlias = Mapping[str, float | None]

FIGURES = (
    "attention_coverage",
    "information_loss",
    "attention_output_error",
    "retention",
    "kl",
    "top1",
    "kl_bound",
    "ratio",
    "compression_ratio",
)
LEAST_COVERAGE = 0.85
MOST_LOSS = 0.15
LEAST_SAVED, MOST_SAVED = 0.70, 0.95
# How to measure a figure that is missing or only claimed.
MEASURES = {
    "attention_coverage": "give the original and queries",
    "attention_output_error": "give the original and queries",
    "information_loss": "give the original and queries, or run the model",
    "retention": "run the model",
    "kl": "run the model",
    "top1": "run the model",
}
OF_QUALITY = tuple(MEASURES)  # not of size, which says nothing about what is lost
CLAIMED = {
    "attention_coverage": "an attention coverage of",
    "kl_bound": "an estimated KL bound of",
    "ratio": "a ratio of",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """What a caller measured by running the model on the decompressed cache; None is not measured."""

    retention: float | None = None
    kl: float | None = None  # nats a token, against the full cache
    top1: float | None = None  # share of scored tokens whose most likely next token stays the same

    def __post_init__(self) -> None:
        highest = {"retention": math.inf, "kl": math.inf, "top1": 1.0}
        for name, most in highest.items():
            value = getattr(self, name)
            least = -math.inf if name == "retention" else 0.0
            if value is not None and not (math.isfinite(value) and least <= value <= most):
                raise InvalidInput(f"{name} is {value}; it must be finite and lie in [{least}, {most}]", field=name)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """`passed` means no errors. `figures` and `bases` have every name of FIGURES: a figure, and how it is known.

    `basis` is the best one of a figure of quality. `unmeasured`: those that could be measured here and were not.
    """

    passed: bool
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    recommendations: tuple[str, ...]
    figures: dict[str, float | None]
    bases: dict[str, Basis | None]
    unmeasured: tuple[str, ...]
    loss_from: str | None  # "retention" | "attention_output_error"
    basis: Basis

    def measured(self, name: str) -> float | None:
        """Return a figure that was measured; None where it is unknown or only claimed."""
        return self.figures[name] if self.bases[name] in MEASURED else None


@dataclass(slots=True)
class _Known:
    """The figures so far, and the basis of each."""

    figures: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(FIGURES))
    bases: dict[str, Basis | None] = field(default_factory=lambda: dict.fromkeys(FIGURES))

    def learn(self, basis: Basis, figures: Figures) -> None:
        """Let figures take the place of what was known before; None changes nothing."""
        for name, value in figures.items():
            if value is not None:
                self.figures[name], self.bases[name] = value, basis


@dataclass(frozen=True, slots=True)
class Finding:
    sentence: str
    advice: str
    is_error: bool = False


def validate(
    data: bytes | Path,
    *,
    adapter: ModelAdapter,
    original: KVSnapshot | None = None,
    queries: object | None = None,
    query_positions: object | None = None,
    rope_applied: bool = True,
    profile: "OpenedProfile | None" = None,
    run: ModelRun | None = None,
    max_bytes: int = MAX_BYTES,
) -> QualityReport:
    """Return the quality checks of specification 1.3 on a `.kvz` file.

    With the original and queries the file is decoded and compared. Raises InvalidInput, TooLarge or DimensionMismatch
    where the file is malformed, or file, original, queries and profile do not belong together.
    """
    container = read_kvz(data, max_bytes=max_bytes)
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    adapter.accept(container.frame)
    known = _Known()
    known.learn(Basis.DECLARED, _claimed(container, size))
    if container.selection is None:  # all tokens are in the file, whatever it says of their bytes
        known.learn(Basis.ACTIVATION, _sizes(container.frame.raw_bytes, size))
    if original is not None:
        lossy = _decoded(container, original, profile)
        held = needed(original)[0]
        known.learn(Basis.ACTIVATION, _sizes(held.frame.raw_bytes, size))
        if queries is not None:
            array, positions = check_queries(
                queries, query_positions, frame=held.frame, adapter=adapter, rope_applied=rope_applied
            )
            known.learn(Basis.ACTIVATION, _attended(lossy, held, array, positions, adapter))
    if run is not None:
        known.learn(Basis.FUNCTIONAL, _of_run(run))
    return _report(known, container)


def _report(known: _Known, container: Container) -> QualityReport:
    findings = list(_findings(known, container))
    errors = tuple(finding.sentence for finding in findings if finding.is_error)
    sources = ("retention", "attention_output_error")
    return QualityReport(
        passed=not errors,
        errors=errors,
        warnings=tuple(finding.sentence for finding in findings if not finding.is_error),
        recommendations=tuple(dict.fromkeys(finding.advice for finding in findings)),
        figures=known.figures,
        bases=known.bases,
        unmeasured=tuple(name for name in MEASURES if known.bases[name] not in MEASURED),
        loss_from=next((name for name in sources if known.figures[name] is not None), None),
        basis=_basis(known),
    )


def _basis(known: _Known) -> Basis:
    found = {known.bases[name] for name in OF_QUALITY}
    return next((basis for basis in (Basis.FUNCTIONAL, Basis.ACTIVATION) if basis in found), Basis.DECLARED)


def _attended(lossy: KVSnapshot, held: KVSnapshot, queries: Array, positions: Array, adapter: ModelAdapter) -> Figures:
    """Return what the queries find in the decoded cache, beside what they find in the original."""
    error = output_error(lossy, held, queries, positions, adapter=adapter)
    return {
        "attention_output_error": None if error is None else error.relative,
        "information_loss": None if error is None else error.lost,
        "attention_coverage": coverage_of(held, lossy.frame.positions, queries, positions, adapter=adapter),
    }


def _of_run(run: ModelRun) -> Figures:
    loss = None if run.retention is None else max(0.0, 1 - run.retention)  # better than the full cache is no loss
    return {"retention": run.retention, "kl": run.kl, "top1": run.top1, "information_loss": loss}


def _claimed(container: Container, size: int) -> Figures:
    """Return the figures that the file states about itself."""
    stated: dict[str, float | None] = {"kl_bound": _decimal(container.evidence, "kl_bound", most=math.inf)}
    if container.selection is not None:
        stated["attention_coverage"] = _decimal(container.selection, "coverage", most=1.0)
    bytes_before = container.evidence.get("original_bytes")
    if type(bytes_before) is int and bytes_before > 0:
        stated |= _sizes(bytes_before, size)
    return stated


def _decimal(document: dict[str, Any], name: str, *, most: float) -> float | None:
    """Return a figure kept as decimal text. Raises InvalidInput for what cannot have been measured."""
    if (text := document.get(name)) is None:
        return None
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    # A float32 sum of the whole mass may come out a little above 1.
    if not -1e-3 <= value <= most + 1e-3 or math.isinf(value):
        raise InvalidInput(f"the file says {name} is {text!r}; it must be decimal text in [0, {most}]", field=name)
    return value


def _sizes(original: int, size: int) -> dict[str, float | None]:
    return {"ratio": original / size, "compression_ratio": 1 - size / original}


def _decoded(container: Container, original: KVSnapshot, profile: "OpenedProfile | None") -> KVSnapshot:
    frame, before = container.frame, original.frame
    for name in ("model", "weights", "geometry", "context", "next_position"):
        given, allowed = getattr(before, name), getattr(frame, name)
        if given != allowed:
            raise InvalidInput(
                f"the original's {name} is {given}; the compressed cache's is {allowed}: they are not the same cache",
                field=name,
            )
    if strangers := sorted(set(frame.positions.tolist()) - set(before.positions.tolist())):
        raise InvalidInput(
            f"the compressed cache has position {strangers[0]}, which the original lacks", field="positions"
        )
    return unpack(container, profile=profile)


def _findings(known: _Known, container: Container) -> Iterator[Finding]:
    """Yield the warnings and errors that the figures cause; a figure of None is not judged."""
    figures = known.figures
    yield from _words(known)
    yield from _coverage(figures)
    yield from _lost(figures, container)
    yield from _bound(figures)
    yield from _saved(known)


def _words(known: _Known) -> Iterator[Finding]:
    """Warn of claims that were taken over unchecked."""
    claims = {name: said for name, said in CLAIMED.items() if known.bases[name] is Basis.DECLARED}
    if claims:
        said = ", ".join(f"{said} {known.figures[name]:.4g}" for name, said in claims.items())
        ways = dict.fromkeys(MEASURES.get(name, "give the original") for name in claims if name != "kl_bound")
        if "kl_bound" in claims and known.bases["kl"] is None:
            ways["run the model"] = None
        yield Finding(f"the file claims {said}: not measured here", f"to measure: {', '.join(ways)}")


def _coverage(figures: Figures) -> Iterator[Finding]:
    if (coverage := figures["attention_coverage"]) is not None and coverage < LEAST_COVERAGE:
        yield Finding(
            f"attention coverage is {coverage:.3f}, below {LEAST_COVERAGE}",
            f"raise attention_threshold to at least {LEAST_COVERAGE}, or max_tokens where it cut the selection short",
        )


def _lost(figures: Figures, container: Container) -> Iterator[Finding]:
    if (loss := figures["information_loss"]) is None:
        yield Finding("information loss was not measured, so it was not judged", MEASURES["information_loss"])
    if loss is None or loss <= MOST_LOSS:
        return
    settings = ["raise attention_threshold or max_tokens"] if container.selection is not None else []
    settings += {
        "quantised": ["ask for a lower ratio, so that more bits are kept"],
        "transform": ["ask for a lower ratio or a smaller kl"],
    }.get(container.encoded.coding, [])
    advice = ", and ".join(settings) or "use queries that lie after the cached tokens"
    yield Finding(f"information loss is {loss:.3f}, above {MOST_LOSS}", advice, is_error=True)


def _bound(figures: Figures) -> Iterator[Finding]:
    kl, bound = figures["kl"], figures["kl_bound"]
    if kl is not None and bound is not None and kl > bound:
        yield Finding(
            f"KL is {kl:.4f} nats, above the bound of {bound:.4f} that the file claims",
            "ask for a smaller kl, or recalibrate the codec profile on text like this",
            is_error=True,
        )


def _saved(known: _Known) -> Iterator[Finding]:
    if (saved := known.figures["compression_ratio"]) is None:
        return
    if saved < LEAST_SAVED:
        yield Finding(
            f"{saved:.1%} of the bytes are saved, less than {LEAST_SAVED:.0%}",
            "ask for a higher ratio, lower attention_threshold, or give a codec profile",
        )
    measured = any(known.bases[name] in MEASURED for name in ("kl", "retention", "attention_output_error"))
    if saved > MOST_SAVED and not measured:
        yield Finding(
            f"{saved:.1%} of the bytes are saved, more than {MOST_SAVED:.0%}, and what that costs was not measured",
            "give the original and queries, or run the model",
        )
