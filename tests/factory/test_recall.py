import random

import pytest

from benchmarks.exchange import questions
from benchmarks.rereading import wording
from factory import recall
from factory.recall import KINDS, asked, between, statements
from factory.refinement.lessons import STATEMENTS, Stretch, for_recall

TEXT = "The river rose. Nobody had expected it; the bridge was closed. In the evening the water fell again. " * 10


def lesson(seed: int = 0) -> Stretch:
    return for_recall(Stretch(TEXT, "unused"), random.Random(seed))


@pytest.mark.parametrize("seed", range(20))
def test_every_statement_is_asked_for_with_its_answer(seed: int) -> None:
    said = statements(len(KINDS), random.Random(seed))
    assert len(said) == len(KINDS)
    for statement, question in said:
        answer = question.split("? ")[1].rstrip(".").strip("'").split()
        content = max(answer, key=lambda word: (word[0].isdigit(), word not in ("crowns", "From"), len(word)))
        assert content.lower().removesuffix("s") in statement.lower()


def test_a_lesson_holds_every_statement_and_asks_for_each_behind_them() -> None:
    made = lesson()
    lines = made.following.strip().split("\n")
    assert len(lines) == STATEMENTS
    said = statements(STATEMENTS, random.Random(0))
    assert all(statement in made.context for statement, _ in said)
    assert sorted(question for _, question in said) == sorted(lines)


def test_no_two_statements_of_a_text_are_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    owners = iter(["Miss Loreton"] * 9 + ["Captain Delwick", "the choir"])
    monkeypatch.setattr(recall, "_owner", lambda _generator: next(owners))
    said = " ".join(statement for statement, _ in statements(3, random.Random(0)))
    assert [said.lower().count(who) for who in ("miss loreton", "captain delwick", "the choir")] == [1, 1, 1]


def test_the_text_between_stays_in_order() -> None:
    said = statements(4, random.Random(0))
    found = between(TEXT, said, random.Random(1))
    for statement, _ in said:
        found = found.replace(f"{statement} ", "", 1).replace(f" {statement}", "", 1)
    assert found.strip() == TEXT.strip()
    assert asked(said, random.Random(1)).count("\n") == 1 + len(said)


def test_the_same_seed_gives_the_same_lesson() -> None:
    assert lesson(3) == lesson(3) != lesson(4)


def test_no_probe_shares_names_or_wordings() -> None:
    probed = {*questions.FIRST, *questions.LAST, *(each for values in questions.KINDS.values() for each in values)}
    names = (*recall.NAMELESS, *recall.TITLES, *(a + b for a in recall.BEGINNINGS for b in recall.ENDINGS))
    taught = " ".join([*names, *(each for _, _, values in KINDS for each in values or ())]).lower().split()
    assert not {each.lower() for each in probed} & set(taught)
    forms = {form for kind in KINDS for form in kind[:2]}
    assert not forms & {form for kind in wording.WORDINGS.values() for form in kind}
