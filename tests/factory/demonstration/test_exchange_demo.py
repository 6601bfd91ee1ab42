"""The demonstration on tiny random models: what is handed over is what was read, and every arm is told apart."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from factory.demonstration import show
from factory.demonstration.arms import Start, generated, handed_over, start_of
from factory.demonstration.memories import opened, pack, read_memory
from factory.demonstration.show import MEMORY, MEMORY_AND_TOKENS, NOTHING, OWN, STRANGERS, TEXT, Pair
from factory.management.commands import exchange_demo
from factory.runners.model import RunningModel
from kvcache.exchange.mapping import open_w_matrix
from latentmas.protocol.w_matrix import WMatrix
from tests.kvcache.exchange.sample import w_matrix
from tests.tiny import WEIGHTS, ByteTokenizer, text, tiny_model

pytest.importorskip("torch")

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "exchange.py"
SOURCE, TARGET = "smollm2-135m", "gemma-3-270m"
DOCUMENT, STRANGER = text(120, 1), text(90, 2)
QUESTIONS = ("which token", "which head")
TOKENS = 8


class Tokenizer(ByteTokenizer):
    def decode(self, ids, **_options):
        return "".join(chr(min(max(token - 1, 32), 126)) for token in ids)


def model(name: str = SOURCE, *, window: int | None = None) -> RunningModel:
    return replace(tiny_model(window=window), name=name, tokenizer=Tokenizer())


@pytest.fixture
def loaded(monkeypatch):
    """Tiny models in place of the real ones."""
    monkeypatch.setattr(exchange_demo, "find_weights", lambda name, cache: name)
    monkeypatch.setattr(exchange_demo, "load_model", model)


def identity(source: RunningModel, target: RunningModel) -> WMatrix:
    """The W-Matrix between a model and itself under another name: its own BOS in front, and every row as it is."""
    bos = {"source_bos": source.capture(())[0], "target_bos": target.capture(())[0]}
    made = w_matrix(source.geometry, target.geometry, models=(source.name, target.name), arrays=bos)
    return WMatrix(replace(made.document, source_weights=WEIGHTS), made.arrays)


def file_of(matrix: WMatrix, folder: Path) -> Path:
    file = BytesIO()
    matrix.write(file)
    path = folder / "w.safetensors"
    path.write_bytes(file.getvalue())
    return path


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("exchange_demo", *arguments, stdout=said)
    return said.getvalue()


@pytest.mark.parametrize("window", [None, 16])
@pytest.mark.parametrize("steps", [0, 3])
def test_the_same_model_goes_on_to_the_last_token(window: int | None, steps: int) -> None:
    running = model(window=window)
    shown = show.same_model(running, DOCUMENT, stranger=STRANGER, questions=QUESTIONS, tokens=TOKENS, steps=steps)
    reference = OWN if steps else TEXT
    assert shown.identical is True
    for answers in shown.answers.values():
        found = {each.arm: each for each in answers}
        assert found[MEMORY].tokens == found[reference].tokens
        assert found[MEMORY].tokens != found[STRANGERS].tokens
        assert found[NOTHING].moved == 0
        assert found[TEXT].moved == len(DOCUMENT)


def test_a_raw_memory_is_kept_bit_by_bit() -> None:
    running = model()
    memory = read_memory(running, DOCUMENT)
    again = opened(pack(memory, model=running, method="raw"))
    assert np.array_equal(again.keys, memory.keys)
    assert np.array_equal(again.frame.offsets, memory.frame.offsets)
    assert again.frame.context == memory.frame.context
    assert len(start_of(running, again).ids) == 1 + len(DOCUMENT)


def test_a_difference_is_told() -> None:
    running = model()
    shown = show.same_model(running, DOCUMENT, stranger=STRANGER, questions=QUESTIONS, tokens=TOKENS)
    assert "2 of 2 answers" in shown.facts[-1]
    (question, answers), *_ = shown.answers.items()
    assert question == QUESTIONS[0]
    assert {each.arm: each.text for each in answers}[MEMORY]


def test_the_other_model_answers_from_the_memory() -> None:
    source, target = model(SOURCE), model(TARGET)
    pair = Pair(source, target, open_w_matrix(identity(source, target)), None)
    shown = show.two_models(pair, DOCUMENT, stranger=STRANGER, questions=QUESTIONS[:1], tokens=TOKENS)
    found = {each.arm: each for each in shown.answers[QUESTIONS[0]]}
    assert list(found) == [MEMORY, MEMORY_AND_TOKENS, TEXT, NOTHING, STRANGERS]
    assert shown.identical is None
    assert found[MEMORY].moved < shown_raw_bytes(source)
    assert all(each.first_token_ms > 0 for each in found.values())
    assert any("applied in source-tokens mode" in fact for fact in shown.facts)
    assert any("quantise" in fact for fact in shown.facts)


def test_a_share_of_the_tokens_is_read_in_place() -> None:
    source, target = model(SOURCE), model(TARGET)
    pair = Pair(source, target, open_w_matrix(identity(source, target)), None)
    shown = show.two_models(pair, DOCUMENT, stranger=STRANGER, questions=QUESTIONS, tokens=TOKENS, reread=1.0)
    for answers in shown.answers.values():
        found = {each.arm: each for each in answers}
        assert found["... 100% of them read in place"].tokens == found[TEXT].tokens


def test_through_the_identity_it_is_what_the_other_model_would_have_read() -> None:
    source, target = model(SOURCE), model(TARGET)
    exchanged = handed_over(read_memory(source, DOCUMENT), open_w_matrix(identity(source, target)))
    asked = target.encode(QUESTIONS[0]).ids
    read = Start([target.bos, *target.encode(DOCUMENT).ids])
    assert generated(target, start_of(target, exchanged.snapshot), asked, tokens=TOKENS) == generated(
        target, read, asked, tokens=TOKENS
    )


def shown_raw_bytes(running: RunningModel) -> int:
    return read_memory(running, DOCUMENT).frame.raw_bytes


def test_the_command_shows_every_arm(registry, loaded, tmp_path: Path) -> None:
    document = tmp_path / "document.txt"
    document.write_text(DOCUMENT)
    path = file_of(identity(model(SOURCE), model(TARGET)), tmp_path)
    said = run("--w-matrix", str(path), "--document", str(document), "--question", QUESTIONS[0], "--tokens", "4")
    for arm in (MEMORY, TEXT, NOTHING, STRANGERS):
        assert arm in said
    assert f"{len(DOCUMENT):,}" in said


def test_the_command_says_that_the_continuation_is_identical(loaded) -> None:
    said = run("--same-model", "--question", QUESTIONS[0], "--tokens", "4")
    assert "identical to the last token" in said
    assert "1 of 1 answers" in said


def test_the_command_fails_where_it_is_not(loaded, monkeypatch) -> None:
    same = show.same_model
    monkeypatch.setattr(show, "same_model", lambda *args, **options: replace(same(*args, **options), identical=False))
    with pytest.raises(CommandError, match="to the last token"):
        run("--same-model", "--question", QUESTIONS[0], "--tokens", "4")


def test_it_refuses_a_pair_without_a_measured_w_matrix(registry, loaded) -> None:
    with pytest.raises(CommandError, match=r"W_MATRIX_NOT_FOUND.*/api/w-matrices"):
        run("--source", SOURCE, "--target", TARGET)


def test_it_refuses_a_w_matrix_of_another_direction(registry, loaded, tmp_path: Path) -> None:
    path = file_of(identity(model(TARGET), model(SOURCE)), tmp_path)
    with pytest.raises(CommandError, match="goes from gemma-3-270m to smollm2-135m"):
        run("--w-matrix", str(path))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--tokens", "0"), "at least 1"),
        (("--latent-steps", "4"), "--same-model"),
        (("--same-model", "--document", "/nowhere.txt"), "there is no file"),
        (("--w-matrix", "/nowhere.safetensors"), "there is no file"),
    ],
)
def test_it_refuses_what_cannot_be(loaded, arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        run(*arguments)


@pytest.mark.parametrize(("content", "reason"), [(b"", "empty"), (b"\xff\xfe", "not UTF-8")])
def test_it_refuses_a_document_that_is_no_text(loaded, tmp_path: Path, content: bytes, reason: str) -> None:
    document = tmp_path / "document.txt"
    document.write_bytes(content)
    with pytest.raises(CommandError, match=reason):
        run("--same-model", "--document", str(document))


@pytest.fixture
def example():
    specification = importlib.util.spec_from_file_location("example", EXAMPLE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_example_hands_a_memory_over(example, monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(example, "find_weights", lambda name, cache: name)
    monkeypatch.setattr(example, "load_model", model)
    document = tmp_path / "document.txt"
    document.write_text(DOCUMENT)
    path = file_of(identity(model(SOURCE), model(TARGET)), tmp_path)
    monkeypatch.setattr(sys, "argv", ["exchange.py", str(path), "--text", str(document), "--question", "which token"])
    example.main()
    said = capsys.readouterr().out
    assert f"{len(DOCUMENT)} bytes of text" in said
    assert "applied" in said
    assert "which token" in said


def test_the_example_needs_no_django() -> None:
    code = f"import runpy, sys; runpy.run_path({str(EXAMPLE)!r}); sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=EXAMPLE.parents[2], check=False).returncode == 0


@pytest.mark.models
def test_a_real_model_goes_on_from_its_handed_over_memory_to_the_last_token(smollm2: RunningModel) -> None:
    shown = show.same_model(
        smollm2,
        "The bell of the chapel will be made in the city of Vienna and will arrive in October.",
        stranger="The clock of the station was made in Madrid.",
        questions=("The bell will be made in the city of",),
        tokens=8,
    )
    assert shown.identical
    assert shown.answers["The bell will be made in the city of"][0].text.split()[0].startswith("Vienna")
