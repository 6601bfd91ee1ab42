"""The question-answering probe: facts are stated once and asked as they were, and likelihoods decide."""

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.exchange import questions
from benchmarks.exchange.questions import ALTERNATIVES, FACTS, Fact, probes
from benchmarks.exchange.run import LEAD, MEMORY, RANKED, SAID, Outcome, outside, rows
from factory.corpora import Document
from tests.factory.demonstration.test_exchange_demo import model

SENTENCE = "In the year number {0} the old town was rebuilt by workers who came from the other side of the river."


def documents(count: int = 3) -> list[Document]:
    texts = ["\n".join(SENTENCE.format(40 * place + number) for number in range(40)) for place in range(count)]
    return [Document(each, hashlib.sha256(each.encode()).hexdigest()) for each in texts]


def test_every_fact_is_stated_once_and_never_last() -> None:
    for probe in probes(documents(), wanted=8):
        assert len(probe.facts) == FACTS
        for fact in probe.facts:
            assert probe.text.count(fact.statement) == 1
            assert not probe.text.endswith(fact.statement)
            assert len(set(fact.alternatives)) == ALTERNATIVES


def test_contexts_take_turns_between_four_kinds_and_pairs_of_two() -> None:
    made = probes(documents(), wanted=4)
    assert [each.paired for each in made] == [False, True, False, True]
    for probe in made:
        answers = Counter(frozenset(fact.alternatives) for fact in probe.facts)
        assert len(answers) == (FACTS // 2 if probe.paired else FACTS)


def test_of_a_pair_each_answer_is_an_alternative_to_the_other() -> None:
    first, second, third, fourth = probes(documents(), wanted=2)[1].facts
    for one, other in ((first, third), (second, fourth)):
        assert one.answer != other.answer
        assert one.answer in other.alternatives
        assert other.answer in one.alternatives


def test_the_same_seed_gives_the_same_probes_and_no_passage_twice() -> None:
    made = probes(documents(), wanted=8)
    assert made == probes(documents(), wanted=8)
    assert len({each.text for each in made}) == 8


def test_it_says_when_the_documents_are_too_few() -> None:
    with pytest.raises(ValueError, match="not 50"):
        probes(documents(1), wanted=50)


def test_likelihoods_are_those_of_reading_question_and_answer_in_one_piece() -> None:
    pytest.importorskip("torch")
    from benchmarks.exchange.scores import scored

    running = model()
    fact = Fact("The head is", ("red", "blue", "white"))
    memory = running.prefill(running.encode("the old context").ids)
    lead = scored(running, memory, fact)[LEAD]
    whole = []
    for each in fact.alternatives:
        question, answer = running.encode(f"\n\n{fact.question}").ids, running.encode(f" {each}").ids
        cache = running.prefill(running.encode("the old context").ids)
        nll = running.continuation_nll(cache, (*question, *answer))
        whole.append(-float(nll[-len(answer) :].sum()))
    assert lead == pytest.approx(whole[0] - max(whole[1:]), abs=1e-3)
    assert memory.get_seq_length() == 1 + len("the old context")


def test_shares_are_told_apart_by_kind_and_bounded_by_contexts() -> None:
    right, wrong = np.zeros((FACTS, 3)), np.zeros((FACTS, 3))
    right[:, RANKED] = right[:, SAID] = 1.0
    outcomes = [
        Outcome(paired=bool(number % 2), found={MEMORY: each}, moved={MEMORY: number}, inside=None)
        for number, each in enumerate([right, wrong] * 5)
    ]
    (line,) = rows(outcomes)
    assert (line["ranked first"], line["one of a kind"], line["paired"], line["said"]) == (0.5, 1.0, 0.0, 0.5)
    assert 0.1 < line["low"] < 0.5 < line["high"] < 0.9
    assert line["bytes"] == 4
    assert outside(outcomes) is None
    assert outside([*outcomes, replace(outcomes[0], inside=False)]) == 1


def test_every_kind_has_enough_answers() -> None:
    assert all(len(set(values)) >= ALTERNATIVES for values in questions.KINDS.values())
