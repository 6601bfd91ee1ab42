"""What a receiver should know although a memory was handed over, in sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from kvcache.exchange.mapping import OpenedWMatrix
from kvcache.exchange.placement import First, Mode, Places
from kvcache.exchange.policy import LEAST_EXPECTED, beyond_scope, weights_finding
from kvcache.exchange.quality import LEAST_TOKENS, AlignmentQuality, Evidence, Use
from latentmas.protocol.quality import TokenMode
from latentmas.protocol.snapshot import SnapshotFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One memory on its way: where it came from, what it was made with, and what is known of it."""

    frame: SnapshotFrame
    opened: OpenedWMatrix
    first: First
    placed: Places
    quality: AlignmentQuality
    evidence: Evidence
    use: Use
    target_weights: str | None  # of the receiver, as it states them


def findings_of(done: Handover) -> tuple[str, ...]:
    """Return every finding about a memory that was handed over."""
    return (*_of_context(done), *_of_weights(done), *_of_places(done), *_of_scope(done), *_of_correction(done))


def _of_context(done: Handover) -> Iterator[str]:
    if done.first is First.SINK:
        yield (
            "the context was read without BOS, so its first token took the attention sink's place and is not handed "
            "over; read it with BOS in front, as in calibration"
        )
    if done.first is First.TOKEN:
        yield "the context was read without BOS; calibration had BOS in front"


def _of_weights(done: Handover) -> Iterator[str]:
    document = done.opened.document
    if done.frame.model is None:
        yield "the snapshot does not name its model; only its geometry was compared"
    elif done.frame.weights is None or document.source_weights is None:
        yield "the weights were not compared: snapshot or W-Matrix does not name them"
    measured = done.evidence.target_weights or document.target_weights
    if finding := weights_finding(done.target_weights, measured):
        yield finding


def _of_places(done: Handover) -> Iterator[str]:
    quality = done.quality
    if done.placed.dropped:
        whose = "target" if done.placed.mode is Mode.SPANS else "snapshot"
        yield f"{done.placed.dropped} tokens of the {whose} are not in the memory"
    if quality.inside is None:
        few = done.opened.document.distribution is not None and quality.distance is not None
        why = f"it has fewer than {LEAST_TOKENS} tokens" if few else "the W-Matrix states no distribution"
        yield f"whether the snapshot is like what was calibrated was not judged: {why}"
    if quality.inside is False:
        yield "the snapshot lies outside the calibrated distribution"
    expected = quality.expected_retention
    if expected is not None and expected.value < LEAST_EXPECTED:
        yield f"the retention expected of this memory is {expected.value:.2f}, less than what is taken without asking"


def _of_scope(done: Handover) -> Iterator[str]:
    if (longest := beyond_scope(done.evidence, done.use)) is not None:
        yield f"the context has {done.use.tokens} tokens, more than the {longest} that the certificate covers"
    certificate = done.evidence.certificate
    if certificate is not None and certificate.scope is None:
        yield "the certificate names no evaluation suite: for which texts and lengths it holds is not known"


def _of_correction(done: Handover) -> Iterator[str]:
    """Yield a sentence where the target's tokens, or the first layer that corrects by them, were not used."""
    given, corrects = done.placed.first_layer is not None, done.opened.map.correction is not None
    if given and not corrects:
        yield "the W-Matrix has no correction, so the target's first layer was not used"
    if done.use.mode is TokenMode.SOURCE_TOKENS:
        yield (
            "the target's tokens were not given: figures are those measured with the source's tokens, or null; a "
            "certificate, where there is one, was issued for memories whose target tokens are known"
        )
    elif corrects and not given:
        yield (
            "retention is that of the plain map: the target's first layer was not given, by which this W-Matrix "
            "corrects a memory; its certificate, where it has one, was issued for corrected memories"
        )
