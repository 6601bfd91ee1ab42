"""Make the file that a plan asks for: select tokens, code, write, and repeat until the file is small enough."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kvcache.adapters import ModelAdapter
from kvcache.coding.encoded import Coding, Encoded
from kvcache.compression.container import Container, write_kvz
from kvcache.compression.encoders import Coded, Encode, encoder, encoders
from kvcache.compression.plan import Plan, Threshold, token_bounds
from latentmas.protocol.errors import QualityBelowThreshold
from latentmas.protocol.snapshot import KVSnapshot
from latentmas.protocol.tensors import Array

if TYPE_CHECKING:
    from kvcache.attention.selection import Choose  # at run time it brings JAX along
    from kvcache.coding.profile import OpenedProfile

DROP_ROUNDS = 6  # a file's size is nearly linear in its tokens, so two usually do
DROP_MARGIN = 0.98
SECTIONS, SECTION_BYTES = 4, 170  # what a section costs in the header: name, shape, place and checksum


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionJob:
    """A snapshot of what later tokens can see, and how to compress it; `choose` is None without queries."""

    snapshot: KVSnapshot
    plan: Plan
    adapter: ModelAdapter
    profile: "OpenedProfile | None"
    choose: "Choose | None"

    def pick(self, selection: Threshold) -> "Chosen":
        """Return the selected tokens. Raises InvalidInput for fewer tokens than the minimum."""
        assert self.choose is not None
        least, most = token_bounds(selection, self.adapter, tokens=self.snapshot.frame.tokens)
        kept, coverage = self.choose(selection.coverage, least, most)
        return Chosen(self.snapshot.select(kept), kept, coverage, selection.coverage)


@dataclass(frozen=True, slots=True)
class Chosen:
    snapshot: KVSnapshot
    kept: Array | None = None  # None: all
    coverage: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A written file, and the encoder that made it, which a stream uses again for its later chunks."""

    data: bytes
    encode: Encode
    coding: Coding
    kept: Array | None
    coverage: float | None
    expected_kl: float | None  # see `Compressed`


def draft(job: CompressionJob) -> Draft:
    """Return the file that the plan asks for. Raises QualityBelowThreshold where its target is out of reach."""
    selection = job.plan.selection
    chosen = Chosen(job.snapshot) if selection is None else job.pick(selection)
    if job.plan.ratio is not None:
        return _reach(job, chosen, job.plan.ratio)
    return write(job, chosen, encoder(job.plan, chosen.snapshot, profile=job.profile))


def _reach(job: CompressionJob, chosen: Chosen, ratio: float) -> Draft:
    """Return the most faithful file within the ratio: finer settings first, then fewer tokens."""
    budget = job.snapshot.frame.raw_bytes / ratio
    room = max(1.0, budget - _overhead(job, chosen))
    encode: Encode | None = None
    made: Draft | None = None
    for encode in encoders(job.plan, chosen.snapshot, room=room, profile=job.profile):
        made = write(job, chosen, encode)
        if len(made.data) <= budget:
            return made
    assert encode is not None
    assert made is not None
    if job.plan.may_drop:
        made = _drop(job, chosen, encode, made, budget)
    if len(made.data) > budget:
        raise _out_of_reach(job, made, ratio)
    return made


def _drop(job: CompressionJob, chosen: Chosen, encode: Encode, made: Draft, budget: float) -> Draft:
    """Return the file of as many tokens as the budget holds, the most attended first."""
    selection = job.plan.selection or Threshold(1.0)
    least, most = token_bounds(selection, job.adapter, tokens=job.snapshot.frame.tokens)
    tokens = min(chosen.snapshot.frame.tokens, most)
    for _ in range(DROP_ROUNDS):
        tokens = max(least, int(tokens * min(1.0, budget / len(made.data)) * DROP_MARGIN))
        made = write(job, job.pick(Threshold(selection.coverage, least, tokens)), encode)
        if len(made.data) <= budget or tokens == least:
            break
    return made


def _out_of_reach(job: CompressionJob, made: Draft, ratio: float) -> QualityBelowThreshold:
    reached = job.snapshot.frame.raw_bytes / len(made.data)
    ways = [] if job.profile is not None else ["a codec profile"]
    ways += [] if job.choose is not None else ["queries, so that tokens can be dropped"]
    resolution = f"Ask for a ratio of at most {reached:.2f}" + (f", or give {' or '.join(ways)}." if ways else ".")
    return QualityBelowThreshold(
        f"a ratio of {ratio:g} is out of reach of the method {job.plan.method!r} here; {reached:.2f} is reachable",
        resolution=resolution,
        field="ratio",
        ratio=ratio,
        reachable=reached,
    )


def write(job: CompressionJob, chosen: Chosen, encode: Encode) -> Draft:
    """Return the file of the chosen tokens, coded with that encoder."""
    coded = encode(chosen.snapshot)
    data = _file(job, chosen, coded)
    return Draft(data, encode, job.plan.coding, chosen.kept, chosen.coverage, _expected_kl(job, coded))


def _overhead(job: CompressionJob, chosen: Chosen) -> int:
    """Return the bytes of a file without its code: header, document and frame."""
    return len(_file(job, chosen, Coded(Encoded(job.plan.coding, {}, {})))) + SECTIONS * SECTION_BYTES


def _file(job: CompressionJob, chosen: Chosen, coded: Coded) -> bytes:
    container = Container(
        frame=chosen.snapshot.frame,
        encoded=coded.encoded,
        selection=selection_document(chosen.coverage, chosen.threshold, job.snapshot.frame.tokens),
        profile=job.profile.digest if job.profile is not None and job.plan.coding == "transform" else None,
        evidence=_evidence(job, coded),
    )
    return write_kvz(container)


def selection_document(coverage: float | None, threshold: float | None, tokens: int) -> dict[str, Any] | None:
    """Return a container's entry about a selection out of `tokens` tokens; None where all were kept."""
    if coverage is None or threshold is None:
        return None
    return {"coverage": repr(coverage), "threshold": repr(threshold), "of_tokens": tokens}


def _evidence(job: CompressionJob, coded: Coded) -> dict[str, Any]:
    """Return the measured figures; no times, because the same snapshot must give the same bytes."""
    evidence: dict[str, Any] = {"original_bytes": job.snapshot.frame.raw_bytes}
    if (expected := _expected_kl(job, coded)) is not None:
        evidence["kl_bound"] = repr(expected)
    return evidence


def _expected_kl(job: CompressionJob, coded: Coded) -> float | None:
    """Return the estimated bound; None where tokens are dropped, of which it says nothing."""
    return coded.kl_bound if job.plan.selection is None else None
