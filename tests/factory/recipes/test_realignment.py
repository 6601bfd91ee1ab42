"""The realignment against the formula in float64, and how it is judged and kept."""

from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest

from factory.alignment.realignment import PENALTY, fit_realignment
from factory.progress import silent
from factory.recipes.realignment import realign
from factory.runners.vocabulary import vocabulary_chunks
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import Space, TokenAlignment, read_w_matrix
from tests import networks

pytest.importorskip("torch")
pytest.importorskip("transformers")

VOCABULARY, HIDDEN = 400, 24


def model(*, tied: bool, gemma: bool = False):
    kind = networks.gemma if gemma else networks.llama
    network = kind(vocab_size=VOCABULARY, hidden_size=HIDDEN, tie_word_embeddings=tied)
    return SimpleNamespace(name="tiny", weights="sha256:" + "0" * 64, network=network)


def test_it_is_the_formula_of_the_paper() -> None:
    generator = np.random.default_rng(0)
    outputs, inputs = generator.normal(size=(2, VOCABULARY, HIDDEN)).astype("f4")
    chunks = [(outputs[:150], inputs[:150]), (outputs[150:], inputs[150:])]
    exact, known = outputs.astype("f8"), inputs.astype("f8")
    expected = np.linalg.solve(exact.T @ exact + PENALTY * np.eye(HIDDEN), exact.T @ known)
    found = fit_realignment(chunks)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_penalty_is_added_to_the_sum_over_the_vocabulary() -> None:
    outputs = np.eye(4, dtype="f4")
    np.testing.assert_allclose(fit_realignment([(outputs, outputs)], penalty=1.0), np.eye(4) / 2)


def test_it_refuses_an_empty_vocabulary() -> None:
    with pytest.raises(InvalidInput):
        fit_realignment([])


def test_input_embeddings_are_what_the_module_puts_out() -> None:
    gemma = model(tied=True, gemma=True)
    (ids, outputs, inputs), *rest = vocabulary_chunks(gemma)
    assert not rest
    assert np.array_equal(ids, np.arange(VOCABULARY))
    weight = gemma.network.model.embed_tokens.weight.detach().numpy()
    np.testing.assert_array_equal(outputs, weight)
    np.testing.assert_allclose(inputs, weight * HIDDEN**0.5, rtol=1e-6)


@pytest.mark.parametrize("gemma", [False, True])
def test_tied_embeddings_only_change_the_norm(gemma: bool) -> None:
    made = realign(model(tied=True, gemma=gemma), progress=silent(""))
    arrays = made.w_matrix.arrays
    matrix = arrays["encoder"] @ arrays["decoder"].astype("f4") * arrays["target_scale"]
    np.testing.assert_allclose(matrix, np.eye(HIDDEN) * (HIDDEN**0.5 if gemma else 1.0), atol=1e-2)
    assert made.top1 == 1.0
    assert made.quality.information_retention > 0.999


def test_it_is_judged_on_entries_that_the_fit_never_saw() -> None:
    made = realign(model(tied=False), progress=silent(""))
    quality = made.quality
    assert quality.basis is Basis.ACTIVATION
    assert (quality.confidence, quality.retention, quality.corpus) == (None, None, None)
    assert quality.test_samples == VOCABULARY // 8
    assert quality.information_retention < 0.1  # unrelated embeddings: nothing carries over to entries left out
    assert made.top1 < 0.2


def test_its_file_says_what_it_is_and_to_which_norm_it_leads() -> None:
    running = model(tied=False)
    made = realign(running, progress=silent(""))
    document = made.w_matrix.document
    assert (document.space, document.token_alignment) == (Space.REALIGNMENT, TokenAlignment.SAME_TOKEN)
    assert (document.source_model, document.target_model) == ("tiny", "tiny")
    mean = np.linalg.norm(running.network.model.embed_tokens.weight.detach().numpy(), axis=1).mean()
    assert np.linalg.norm(made.w_matrix.arrays["target_scale"]) == pytest.approx(mean, rel=1e-5)


def test_it_is_read_back_as_it_was_written(tmp_path) -> None:
    made = realign(model(tied=False), progress=silent(""))
    file = BytesIO()
    made.w_matrix.write(file)
    path = tmp_path / "realignment.safetensors"
    path.write_bytes(file.getvalue())
    again = read_w_matrix(path)
    assert again.document == made.w_matrix.document
    assert all(np.array_equal(again.arrays[name], array) for name, array in made.w_matrix.arrays.items())
