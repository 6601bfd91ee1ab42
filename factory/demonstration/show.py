"""The demonstration of an exchange, between two models or within one: read, pack, hand over, ask, show in tables."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from awareness_sdk.latent_rollout import realignment_of
from factory.demonstration.arms import (
    Answer,
    Arm,
    Asked,
    answered,
    handed_over,
    memory_arm,
    own_memory_arm,
    reading_arm,
    start_of,
    text_arm,
)
from factory.demonstration.memories import Packed, opened, pack, read_memory, think_about
from factory.progress import silent
from factory.recipes.realignment import Realigned, realign
from factory.runners.model import RunningModel
from kvcache.exchange.exchange import Exchanged
from kvcache.exchange.mapping import OpenedWMatrix

if TYPE_CHECKING:
    from kvcache.coding.profile import OpenedProfile

MEMORY_AND_TOKENS = "the memory, tokens known"
AND_READ = "... {share:.0%} of them read in place"
MEMORY, OWN, TEXT, NOTHING, STRANGERS = "the memory", "its own memory", "the text", "nothing", "another's memory"
MEGABYTE = 1e6
MS_PER_SECOND = 1000.0

# Default texts and questions, about invented facts that no model can know.
DOCUMENT = (
    "The harbour master of Port Ellerby keeps a short report of each week. On Monday the lighthouse keeper, Rosa "
    "Tillman, had the boathouse painted orange, because the old grey paint could not be seen in the fog. The ferry to "
    "the mainland was late on two days, and the crew blamed the tide rather than the engine. On Wednesday Oscar "
    "Lindgren, who works as a baker near the quay, reported that a rabbit had been living under his stairs since the "
    "spring. The children of the school were allowed to see it, and the teacher wrote a poem. On Friday the council "
    "met in the old chapel and decided to buy a new bell. The bell will be made in the city of Vienna and will arrive "
    "in October. Nobody spoke against it, although the price is high and the roof of the chapel has to be mended "
    "first. The weather stayed mild, with light wind from the west, and the fishing boats came home early on most days."
)
STRANGER = (
    "The station at Kettle Bridge was opened in the summer after the line had been closed for nineteen years. On the "
    "first morning the station master, Martin Okafor, had the waiting room painted blue and set a clock above the "
    "door. Trains leave every hour, and most travellers are workers of the glass factory across the river. Helen "
    "Varga, who works as a teacher in the next village, came with a parrot in a cage and asked for a ticket for it. In "
    "the afternoon the mayor made a speech about the new timetable, which nobody could hear because of the brass band. "
    "The platform will be made longer next year, and the stones for it will come from the city of Madrid in March. The "
    "evening train was full, and the station master stayed until the last lamp was out."
)
QUESTIONS = (
    "Rosa Tillman had the boathouse painted",
    "Oscar Lindgren works as a",
    "The bell will be made in the city of",
)
BEFORE_QUESTION = "\n\n"  # a question is a line of its own that the receiver is to complete


@dataclass(frozen=True, slots=True)
class Pair:
    source: RunningModel
    target: RunningModel
    w_matrix: OpenedWMatrix
    profile: "OpenedProfile | None"  # of the source; None: its memories are quantised


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The answers to each question, and further facts as sentences.

    `identical` says whether the memory gave the reference's tokens to every question; None between two models.
    """

    title: str
    answers: dict[str, list[Answer]]
    facts: tuple[str, ...]
    identical: bool | None = None


def two_models(
    pair: Pair, text: str, *, stranger: str, questions: Sequence[str], tokens: int, reread: float = 0.0
) -> Demonstration:
    """Let the source read two texts and the target answer. Raises what packing and `exchange` raise.

    `reread` is the share of its tokens that the target reads itself in one of the arms, chosen by the question.
    """
    source, target = pair.source, pair.target
    started = time.perf_counter()
    memory = read_memory(source, text)
    reading_ms = MS_PER_SECOND * (time.perf_counter() - started)
    packed, other = (pack(each, model=source, profile=pair.profile) for each in (memory, read_memory(source, stranger)))
    exchanged = handed_over(opened(packed), pair.w_matrix)
    arms = [
        memory_arm(target, MEMORY, packed, w_matrix=pair.w_matrix),
        memory_arm(target, MEMORY_AND_TOKENS, packed, w_matrix=pair.w_matrix, text=text),
        text_arm(target, TEXT, text),
        text_arm(target, NOTHING, ""),
        memory_arm(target, STRANGERS, other, w_matrix=pair.w_matrix),
    ]

    def with_reading(question: str) -> list[Arm]:
        if not reread:
            return arms
        name = AND_READ.format(share=reread)
        asked = Asked(text, question, reread)
        return [*arms[:2], reading_arm(target, name, packed, w_matrix=pair.w_matrix, asked=asked), *arms[2:]]

    return Demonstration(
        title=f"{target.name} answers from the memory of {source.name}",
        answers=_ask(target, with_reading, questions, tokens=tokens),
        facts=(packing(source, packed, reading_ms), *_handing(pair, exchanged)),
    )


def same_model(
    model: RunningModel, text: str, *, stranger: str, questions: Sequence[str], tokens: int, steps: int = 0
) -> Demonstration:
    """Hand a model's memory to itself at raw precision; its continuation must be that of the model's own memory.

    The reference is the model that reads the text in one piece or, with `steps` latent thoughts, the cache they left.
    """
    thinking = realign(model, progress=silent("")) if steps else None
    started = time.perf_counter()
    if thinking is None:
        memory = read_memory(model, text)
    else:
        memory = think_about(model, text, steps=steps, realignment=realignment_of(thinking.w_matrix))
    reading_ms = MS_PER_SECOND * (time.perf_counter() - started)
    packed, other = (pack(each, model=model, method="raw") for each in (memory, read_memory(model, stranger)))
    arms = [
        own_memory_arm(model, MEMORY, packed),
        text_arm(model, TEXT, text),
        text_arm(model, NOTHING, ""),
        own_memory_arm(model, STRANGERS, other),
    ]
    reference = TEXT
    if steps:
        reference = OWN
        arms.insert(1, Arm(OWN, lambda: start_of(model, memory), moved=0))
    answers = _ask(model, lambda _question: arms, questions, tokens=tokens)
    same = [_tokens(found, MEMORY) == _tokens(found, reference) for found in answers.values()]
    whose = f"from {reference}" if steps else "after reading the text itself"
    verdict = f"identical to the last token with what the model writes {whose}: {sum(same)} of {len(same)} answers"
    return Demonstration(
        title=f"{model.name} continues from its own memory, handed over at raw precision",
        answers=answers,
        facts=(
            packing(model, packed, reading_ms),
            *([] if thinking is None else [_realignment(thinking, steps)]),
            verdict,
        ),
        identical=all(same),
    )


def tables(shown: Demonstration) -> Iterator[Table]:
    """Yield a table for each question: the arms side by side."""
    for question, answers in shown.answers.items():
        yield answers_table(shown.title, question, answers)


def answers_table(title: str, question: str, answers: Sequence[Answer]) -> Table:
    """Return the arms side by side."""
    table = Table(title=f"{title}\n“{question} …”")
    table.add_column("with")
    table.add_column("answer", overflow="fold")
    table.add_column("first token", justify="right")
    table.add_column("bytes moved", justify="right")
    for each in answers:
        text = each.text.replace("\n", "⏎ ").strip()
        table.add_row(each.arm, text, f"{each.first_token_ms:.0f} ms", f"{each.moved:,}")
    return table


def packing(model: RunningModel, packed: Packed, reading_ms: float) -> str:
    """Return in a sentence what reading and packing a memory took and came to."""
    size, whole = len(packed.data), packed.raw_bytes
    return (
        f"{model.name} read {packed.tokens} tokens in {reading_ms:.0f} ms; its cache of {whole / MEGABYTE:.2f} MB at "
        f"float16 became a file of {size / MEGABYTE:.2f} MB ({packed.method}, {whole / size:.1f}x) in "
        f"{packed.packing_ms:.0f} ms"
    )


def _ask(
    model: RunningModel, arms: Callable[[str], list[Arm]], questions: Sequence[str], *, tokens: int
) -> dict[str, list[Answer]]:
    return {each: answered(model, arms(each), BEFORE_QUESTION + each, tokens=tokens) for each in questions}


def _realignment(made: Realigned, steps: int) -> str:
    quality = made.quality
    return (
        f"{steps} latent thoughts; realignment on {quality.test_samples} held-out vocabulary entries "
        f"({quality.basis.value}): cosine {quality.cosine_similarity:.4f}, nearest entry right {made.top1:.1%}; what "
        "thoughts add to an answer was not measured"
    )


def _handing(pair: Pair, exchanged: Exchanged) -> Iterator[str]:
    document, quality = pair.w_matrix.document, exchanged.quality
    retention = "not in the file" if quality.retention is None else f"{quality.retention:.3f} ({quality.basis.value})"
    yield (
        f"W-Matrix {document.version} ({document.method.value}, du {document.unified_dimension}): "
        f"retention {retention}, "
        f"{exchanged.decision.value} in {exchanged.mode.value} mode to {exchanged.snapshot.frame.tokens} tokens"
    )
    if quality.distance is not None:
        where = {True: "inside", False: "outside", None: "not compared with"}[quality.inside]
        yield f"distance of this memory {quality.distance:.3f}, {where} the calibrated distribution"
    if (expected := quality.expected_retention) is not None:
        yield f"expected of this memory: {expected.value:.2f} ({expected.low:.2f} to {expected.high:.2f})"
    yield from exchanged.findings


def _tokens(answers: Sequence[Answer], arm: str) -> tuple[int, ...]:
    return next(each.tokens for each in answers if each.arm == arm)
