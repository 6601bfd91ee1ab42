import random

from benchmarks.exchange import questions
from factory.refinement.lessons import Stretch
from factory.refinement.recall import KINDS, OWNERS, STATEMENTS, for_recall

TEXT = "The river rose. Nobody had expected it; the bridge was closed. In the evening the water fell again. " * 10


def lesson(seed: int = 0) -> Stretch:
    return for_recall(Stretch(TEXT, "unused"), random.Random(seed))


def test_every_statement_is_asked_for_with_its_answer() -> None:
    made = lesson()
    asked = made.following.strip().split("\n")
    assert len(asked) == STATEMENTS
    for line in asked:
        question, answer = line.split("? ")
        owner = next(who for who in OWNERS if who in question)
        word = answer.rstrip(".").split()[-1].removesuffix("s") if "crowns" not in answer else answer.split()[0].lower()
        stated = next(each for each in made.context.split(". ") if owner.lower() in each.lower())
        assert word.lower() in stated.lower()


def test_the_text_between_stays_in_order() -> None:
    made = lesson()
    assert made.context.count("The river rose.") == 10
    assert made.context.index("The river rose.") < made.context.index("In the evening the water fell again.")


def test_the_same_seed_gives_the_same_lesson() -> None:
    assert lesson(3) == lesson(3) != lesson(4)


def test_no_probe_shares_names_or_wordings() -> None:
    probed = {*questions.FIRST, *questions.LAST, *(each for values in questions.KINDS.values() for each in values)}
    taught = " ".join([*OWNERS, *(each for _, _, values in KINDS for each in values)]).lower().split()
    assert not {each.lower() for each in probed} & set(taught)
