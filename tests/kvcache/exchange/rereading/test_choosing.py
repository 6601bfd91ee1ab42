"""What is chosen to be read: by place, by words, by the question, within a budget."""

import re

import numpy as np
import pytest

from kvcache.exchange.rereading import CHOOSERS, Context
from kvcache.exchange.rereading.choosing import Budget, choose
from kvcache.exchange.rereading.context import sentences_of
from latentmas.protocol.errors import InvalidInput

TEXT = (
    "The weather stayed mild all week. Rosa Tillman painted the boathouse orange. She keeps a parrot named Quibble "
    "there.\nThe ferry was late again, and nobody minded. The council met in the old chapel."
)
SPANS = np.array([match.span() for match in re.finditer(r"\s?\w{1,4}|\W", TEXT)])  # words are cut after four letters


def context(**known) -> Context:
    return Context(SPANS, text=TEXT, **known)


def read(known: Context, budget: Budget, **more) -> str:
    """Return the text of the chosen tokens, a gap as |."""
    positions = choose(known, budget, **more).positions
    parts, last = [], None
    for start, end in SPANS[positions - 1]:
        parts += ["|"] if last not in (None, start) else []
        parts.append(TEXT[start:end])
        last = end
    return "".join(parts)


def test_sentences_end_at_marks_and_lines() -> None:
    assert [TEXT[start:end] for start, end in sentences_of(TEXT)] == [
        "The weather stayed mild all week.",
        "Rosa Tillman painted the boathouse orange.",
        "She keeps a parrot named Quibble there.",
        "The ferry was late again, and nobody minded.",
        "The council met in the old chapel.",
    ]


def test_the_last_tokens() -> None:
    assert read(context(), Budget(tokens=3), chooser="last") == " chapel."


def test_rare_words_are_read_whole_and_before_others() -> None:
    found = read(context(), Budget(share=0.2), chooser="rare")
    assert "Quibble" in found
    assert "Tillman" in found
    assert "The" not in found


def test_half_are_the_last_and_half_are_rare() -> None:
    found = read(context(), Budget(tokens=8), chooser="mixed")
    assert "Quib" in found
    assert found.endswith("chapel.")


def test_the_sentence_that_a_question_names_is_read_with_its_neighbours() -> None:
    found = read(context(question="What pet does Tillman keep in the boathouse?"), Budget(share=0.45))
    assert "Rosa Tillman painted the boathouse orange." in found
    assert "She keeps a parrot named Quibble there." in found


def test_words_are_compared_by_their_beginnings() -> None:
    found = read(context(question="Who minds ferries?"), Budget(tokens=10))
    assert all(part in "The ferry was late again, and nobody minded." for part in found.split("|"))
    assert "ferr" in found


def test_the_question_is_compared_by_meaning_where_an_encoder_is_given() -> None:
    def embed(sentences):
        return np.array([[1.0, 0.0] if "chapel" in each or "church" in each else [0.0, 1.0] for each in sentences])

    known = context(question="Where is the church?", embed=embed)
    assert "The council met in the old chapel." in read(known, Budget(tokens=12), chooser="meaning")


def test_attention_is_smoothed_over_its_neighbours() -> None:
    attention = np.zeros(len(SPANS))
    attention[[10, 14]] = 1, 0.9
    positions = choose(context(attention=attention), Budget(tokens=5), chooser="attention").positions
    assert set(positions - 1) == {9, 10, 11, 12, 13}


def test_surprisal_is_taken_as_it_is() -> None:
    surprisal = np.zeros(len(SPANS))
    surprisal[[3, 9]] = 4, 5
    assert choose(context(surprisal=surprisal), Budget(tokens=2), chooser="surprisal").positions.tolist() == [4, 10]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, round(len(SPANS) / 4)), (1.0, len(SPANS))])
def test_a_budget_is_a_share_of_the_tokens(share: float, expected: int) -> None:
    for chooser in ("last", "rare"):
        positions = choose(context(), Budget(share=share), chooser=chooser).positions
        assert len(positions) == expected
        assert (np.diff(positions) > 0).all()


def test_the_chooser_follows_what_is_known() -> None:
    budget = Budget(tokens=2)
    assert choose(Context(SPANS), budget).chooser == "last"
    assert choose(context(), budget).chooser == "mixed"
    assert choose(context(question="Who?"), budget).chooser == "words"


@pytest.mark.parametrize("text", ["\n\n", "...", "a", "word " * 40])
@pytest.mark.parametrize("chooser", ["rare", "words", "last"])
def test_any_text_can_be_chosen_from(text: str, chooser: str) -> None:
    spans = np.array([(at, at + 1) for at in range(len(text))])
    known = Context(spans, text=text, question="What word?")
    assert len(choose(known, Budget(share=0.5), chooser=chooser).positions) == round(len(text) / 2)


@pytest.mark.parametrize(
    ("known", "budget", "chooser", "field"),
    [
        ({}, Budget(), "last", "reread"),
        ({}, Budget(share=0.1, tokens=3), "last", "reread"),
        ({}, Budget(share=1.5), "last", "reread"),
        ({}, Budget(share=-0.1), "last", "reread"),
        ({}, Budget(share=float("nan")), "last", "reread"),
        ({}, Budget(tokens=-1), "last", "reread_tokens"),
        ({}, Budget(tokens=len(SPANS) + 1), "last", "reread_tokens"),
        ({}, Budget(tokens=1), "rare", "text"),
        ({"text": TEXT}, Budget(tokens=1), "words", "question"),
        ({"text": TEXT, "question": "?!"}, Budget(tokens=1), "words", "question"),
        ({"text": TEXT, "question": "Who?"}, Budget(tokens=1), "meaning", "chooser"),
        ({}, Budget(tokens=1), "surprisal", "chooser"),
        ({"surprisal": np.zeros(3)}, Budget(tokens=1), "surprisal", "surprisal"),
        ({}, Budget(tokens=1), "attention", "chooser"),
        ({}, Budget(tokens=1), "newest", "chooser"),
    ],
)
def test_what_cannot_be_chosen_by_is_refused(known, budget: Budget, chooser: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        choose(Context(SPANS, **known), budget, chooser=chooser)
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize("known", [{"question": "Who?"}, {"text": "too short"}])
def test_a_question_without_its_text_and_spans_beyond_it_are_refused(known) -> None:
    with pytest.raises(InvalidInput) as caught:
        Context(SPANS, **known)
    assert caught.value.facts["field"] == "text"


def test_every_chooser_is_listed_by_its_module() -> None:
    assert all(score.__module__.endswith(f".{name}") for name, score in CHOOSERS.items())
