"""What is known about the quality of a W-Matrix, and how it is known."""

from dataclasses import dataclass, replace
from enum import StrEnum

REREAD_TOKENS = 32  # an eighth of the shortest context of the evaluation suite
IN_PLACE = 1 / 8  # the share of the tokens that the target reads in place, where that is measured
SAMPLED = "sampled"  # the register of text that models sampled: shown, but part of no mean and of no certificate


class Basis(StrEnum):
    """Where a figure comes from. The four are never mixed up."""

    FUNCTIONAL = "functional"  # the target model was run
    ACTIVATION = "activation"  # held-out activations, target model not run
    DECLARED = "declared"  # the seller says so
    SIMULATED = "simulated"  # from a simulated latent source: the model's weights are closed or absent


MEASURED = frozenset({Basis.FUNCTIONAL, Basis.ACTIVATION})


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval (bootstrap over documents)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Corpus:
    """The text a figure was measured on."""

    name: str
    digest: str  # sha256:<hex> of the documents
    documents: int


@dataclass(frozen=True, slots=True)
class Retention:
    """The transfer contract's figures: retention of the aligned memory beside its controls and text baselines.

    Retention is (NLL(Y|BOS) - NLL(Y|BOS + memory)) / (NLL(Y|BOS) - NLL(Y|BOS + own KV of C)), a ratio of means over
    documents: 1 is as good as reading the text, 0 no better than nothing, negative harmful.
    """

    aligned: Interval
    wrong_document: Interval
    random_w: Interval
    text_half: Interval
    text_quarter: Interval
    text_eighth: Interval


class TokenMode(StrEnum):
    """What the receiver of a memory knows, and whether it reads some of the text itself."""

    TOKENS_KNOWN = "tokens-known"  # the text, and so the target's own tokens
    READ_IN_PLACE = "read-in-place"  # the same, and it reads a share IN_PLACE of them itself, each at its own place
    SOURCE_TOKENS = "source-tokens"  # nothing: the memory keeps the source's tokens and positions


@dataclass(frozen=True, slots=True)
class Cell:
    """Retention of one register's held-out groups at one context length; every figure is None where not measured.

    `aligned` is with the target's tokens known, `source_tokens` without them, as such a memory is used: the source's
    tokens at the source's positions. `left_out` is `aligned` of a map that was fitted without this register: what a
    stranger's text may expect. A distilled map has none.

    Controls: another document's memory with its own tokens (`wrong_document`) and with this document's tokens
    (`own_tokens`), a map fitted to use the target's tokens alone (`tokens_only`), a random W, the last eighth of the
    context as text. `beyond_tokens` is what the memory adds to the map of the tokens alone, document by document.
    `reread` lets the target read the last REREAD_TOKENS tokens itself, after this memory, after nothing
    (`reread_nothing`) and after a stranger's memory (`reread_stranger`); `in_place` lets it read a share IN_PLACE of
    the tokens, each at its own place in the memory of the others, in that of a stranger (`in_place_stranger`), and
    after nothing (`in_place_alone`).
    """

    register: str
    length: int  # context in tokens of the target
    documents: int
    scored_tokens: int
    aligned: Interval | None = None
    source_tokens: Interval | None = None
    left_out: Interval | None = None
    wrong_document: Interval | None = None
    own_tokens: Interval | None = None
    tokens_only: Interval | None = None
    beyond_tokens: Interval | None = None
    random_w: Interval | None = None
    text_eighth: Interval | None = None
    reread: Interval | None = None
    reread_nothing: Interval | None = None
    reread_stranger: Interval | None = None
    in_place: Interval | None = None
    in_place_stranger: Interval | None = None
    in_place_alone: Interval | None = None

    @property
    def counts(self) -> bool:
        """Whether the cell is part of means and certificates: sampled text is not."""
        return self.register != SAMPLED


@dataclass(frozen=True, slots=True)
class SuiteFigures:
    """What was measured on a versioned evaluation suite: registers x context lengths."""

    name: str  # such as suite/1-core
    digest: str  # sha256:<hex> of the documents in it
    mode: TokenMode
    cells: tuple[Cell, ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """The context lengths, ascending."""
        return tuple(sorted({cell.length for cell in self.cells}))

    def at(self, length: int) -> tuple[Cell, ...]:
        """Return the cells of one length that count."""
        return tuple(cell for cell in self.cells if cell.length == length and cell.counts)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How often an aligned vector finds its own passage among the target's vectors of held-out passages, by cosine.

    Both models read every passage. `top1` and `top5` are shares of the passages; the control is a random W of the same
    shape and scale, and `chance` is what guessing reaches.
    """

    top1: Interval
    top5: Interval
    random_w_top1: Interval
    candidates: int
    chance: float  # 1 / candidates


@dataclass(frozen=True, slots=True)
class Quality:
    """The summary that an event and a W-Matrix file carry. `None` means not measured, never zero.

    Where the basis is functional, exactly one of `retention` (of caches) and `retrieval` (of embeddings) is present.
    `epsilon` is 1 - retention clamped to [0, 1], or 1 - top-1 retrieval, and 1 - information_retention elsewhere.
    `confidence` is the lower end of that figure's interval. Where a W-Matrix has a correction by the target's tokens,
    all figures are with it, and `uncorrected` is the retention without. `reread` is the retention where the target
    reads the context's last REREAD_TOKENS tokens itself, after the aligned memory of those before. `suite` holds the
    same by register and context length; with it, the other figures are over all its documents of the shortest length.
    """

    basis: Basis
    epsilon: float
    information_retention: float
    cosine_similarity: float | None  # None only where a seller does not state it
    euclidean_distance: float | None  # relative: |predicted - true| / |true|
    computational_cost: int  # multiply-adds per token
    test_samples: int  # scored continuation tokens; held-out passages, or rows where the target was not run
    documents: int
    confidence: float | None = None
    retention: Retention | None = None
    corpus: Corpus | None = None
    retrieval: Retrieval | None = None
    uncorrected: Interval | None = None
    reread: Interval | None = None
    suite: SuiteFigures | None = None

    @property
    def kept(self) -> Interval:
        """What is kept of the context, or of the passages sought, as one figure; a point where there is no interval."""
        if self.retention is not None:
            return self.retention.aligned
        if self.retrieval is not None:
            return self.retrieval.top1
        return Interval(1 - self.epsilon, 1 - self.epsilon, 1 - self.epsilon)


def declared(quality: Quality) -> Quality:
    """Return what a publisher may say of figures: the summary alone, as declared. Simulated ones stay simulated."""
    if quality.basis is Basis.SIMULATED:
        return quality
    return replace(
        quality,
        basis=Basis.DECLARED,
        confidence=None,
        retention=None,
        retrieval=None,
        uncorrected=None,
        reread=None,
        suite=None,
    )


@dataclass(frozen=True, slots=True)
class LayerFidelity:
    """How well one target layer is reproduced on held-out tokens: means over tokens and heads."""

    layer: int
    key_cosine: float
    key_error: float  # relative, as in Quality.euclidean_distance
    value_cosine: float
    value_error: float
    attention_cosine: float | None  # attention output with predicted against own KV; None where the model was not run


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model in a certificate: its registry name and the digest of the weights used (None: weights not seen)."""

    name: str
    weights: str | None


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """What turned text into tokens, by the digests of its definition and of its chat template; None: it has none."""

    digest: str | None  # sha256:<hex>
    chat_template: str | None


@dataclass(frozen=True, slots=True)
class Instrument:
    """What figures were measured with, beside file, weights and texts: all the same, and the figures are the same."""

    code: str  # the version of the measuring code, such as arms/3
    seed: int  # of the random controls
    numerics: str  # what the models ran in, such as cpu/float32
    source_tokenizer: Tokenizer | None = None  # None where no model was run
    target_tokenizer: Tokenizer | None = None

    @property
    def tokenizers(self) -> tuple[Tokenizer | None, Tokenizer | None]:
        """Those of source and target."""
        return self.source_tokenizer, self.target_tokenizer


@dataclass(frozen=True, slots=True)
class PrivateCells:
    """How a version did on texts that its seller could not know; they are published when their rotation ends."""

    rotation: int
    passed: bool
    commitment: str  # sha256:<hex> over the salted digests of seed and texts (docs/certification.md)


@dataclass(frozen=True, slots=True)
class DocumentScore:
    """Mean NLL per scored continuation token of one held-out document, in nats, for every arm."""

    document: str  # first 16 hex digits of the document's SHA-256
    scored_tokens: int
    nll: dict[str, float]
    register: str | None = None  # the cell of the evaluation suite
    length: int | None = None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Everything measured about one W-Matrix; stored as a file and named by digest in the record."""

    source: ModelIdentity
    target: ModelIdentity
    w_matrix: str  # sha256:<hex> of the W-Matrix file
    quality: Quality
    layers: tuple[LayerFidelity, ...]
    documents: tuple[DocumentScore, ...]
    settings: dict[str, str]
