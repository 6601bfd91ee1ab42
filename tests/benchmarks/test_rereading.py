"""The paraphrased probe: the fact is said in other words than it is asked, and each arm reads what its plan chose."""

import numpy as np
import pytest

from benchmarks.exchange.questions import FACTS, KINDS, probes
from benchmarks.rereading.wording import WORDINGS, reworded
from tests.benchmarks.test_exchange import documents


def made(wanted: int = 24):
    return probes(documents(6), wanted=wanted, word=reworded)


def test_every_kind_has_its_wordings() -> None:
    assert set(WORDINGS) == set(KINDS)


def test_facts_are_stated_in_other_words_with_the_whole_name_and_asked_by_a_part_of_it() -> None:
    for probe in made():
        for fact in probe.facts:
            assert probe.text.count(fact.statement) == 1
            assert fact.question not in probe.text
            assert fact.person in fact.statement
            assert fact.person not in fact.question
            asked_for = [name for name in fact.person.split() if name in fact.question]
            assert len(asked_for) == 1
            assert sum(asked_for[0] in other.person for other in probe.facts) == 1  # it says who is meant


def test_some_take_two_sentences_of_which_the_second_has_a_pronoun() -> None:
    statements = [fact.statement for probe in made() for fact in probe.facts]
    two = [each for each in statements if each.count(".") == 2]
    assert len(statements) / 4 < len(two) < 3 * len(statements) / 4
    assert all(" she " in each.lower() or " he " in each.lower() for each in two)


def test_each_arm_answers_every_question() -> None:
    pytest.importorskip("torch")
    from benchmarks.exchange.run import Direction
    from benchmarks.rereading.facts import Plan, ask
    from kvcache.exchange.mapping import open_w_matrix
    from tests.factory.demonstration.test_exchange_demo import SOURCE, TARGET, identity, model

    source, target = model(SOURCE), model(TARGET)
    direction = Direction(source, target, open_w_matrix(identity(source, target)), "raw")

    def embed(sentences):
        return np.eye(len(sentences))

    plans = [Plan("words", 1.0, controls=True), Plan("attention", 0.1), Plan("meaning", 0.1)]
    found = ask(direction, made(2), plans, embed=embed)
    assert {arm: figures.shape for arm, figures in found.items()} == dict.fromkeys(found, (2 * FACTS, 3))
    assert len(found) == 8
    np.testing.assert_allclose(found["words 1"], found["the text"], atol=1e-3)  # everything was read
    np.testing.assert_allclose(found["the memory"], found["the text"], atol=1e-3)  # the identity loses nothing
    assert np.abs(found["nothing"] - found["the text"]).max() > 0.1
