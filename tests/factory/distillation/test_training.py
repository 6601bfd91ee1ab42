"""A map that learns all of its numbers: the same predictions as the engine's, and less divergence after training."""

import itertools

import numpy as np
import pytest

from kvcache.exchange.mapping import open_map
from kvcache.rows import pack_rows, unpack_rows
from latentmas.protocol.eight_bit import matrix_of, to_eight_bit
from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.geometry import KVGeometry
from tests.tiny import BOS, ByteTokenizer, text

torch = pytest.importorskip("torch")

from factory.distillation import training  # noqa: E402
from factory.distillation.distil import LENGTHS, STEP_TOKENS, Drawing, distilled, lengths_of  # noqa: E402
from factory.distillation.lessons import READ, RECALL, STRETCH, Length, Reader, batches  # noqa: E402
from factory.distillation.maps import Origin  # noqa: E402
from factory.distillation.rows import BatchedRows  # noqa: E402
from factory.distillation.student import Student  # noqa: E402
from factory.distillation.training import Network, Settings, divergence_of  # noqa: E402
from factory.distillation.unfinished import Unfinished  # noqa: E402

GEOMETRY = KVGeometry(
    layers=3, heads=2, head_dim=8, rotary_dim=6, thetas=(1e4, 1e6, 1e4), windows=(4, None, 4), value_dim=4
)
RANK, LAGS, SOURCE_WIDTH = 6, 2, 20
SHORT = Length(context=40, following=12, texts=4)
LONG = Length(context=1500, following=150, texts=4)  # bytes: thirteen statements take about 900


def random_arrays(geometry: KVGeometry, source_width: int, *, known: int, noise: float = 1.0) -> dict[str, np.ndarray]:
    random, width = np.random.default_rng(0), geometry.width
    normal = lambda *shape: (noise * random.normal(size=shape)).astype(np.float16)  # noqa: E731
    return {
        "encoder": normal(source_width, RANK),
        "decoder": normal(RANK, width),
        "source_mean": random.normal(size=source_width).astype(np.float32),
        "source_scale": (1 + random.random(source_width)).astype(np.float32),
        "target_mean": random.normal(size=width).astype(np.float32),
        "target_scale": (1 + random.random(width)).astype(np.float32),
        "latent_scale": np.ones(RANK, np.float32),
        "correction_encoder": normal(LAGS, known * geometry.layer_width, 5),
        "correction_decoder": normal(5, width),
    }


@pytest.mark.parametrize("known", [1, 2])
def test_a_student_predicts_what_the_engine_predicts_from_its_arrays(known: int) -> None:
    student = Student(random_arrays(GEOMETRY, SOURCE_WIDTH, known=known))
    random = np.random.default_rng(1)
    rows = random.normal(size=(2, 7, SOURCE_WIDTH)).astype(np.float32)
    own = random.normal(size=(2, 7, GEOMETRY.width)).astype(np.float32)
    with torch.no_grad():
        student.bias += 0.3  # learnt: it must come to the file's mean
        plain, corrected = (student(torch.from_numpy(rows), each).numpy() for each in (None, torch.from_numpy(own)))
    engine = open_map(student.arrays(), target=GEOMETRY)
    for number in range(2):
        np.testing.assert_allclose(plain[number], engine.apply(rows[number]), atol=1e-3)
        known_rows = np.ascontiguousarray(own[number, :, : known * GEOMETRY.layer_width])
        np.testing.assert_allclose(corrected[number], engine.apply(rows[number], known_rows), rtol=1e-3, atol=5e-3)


def test_a_student_takes_up_a_map_in_8_bit_and_gives_it_back_in_half_precision() -> None:
    small = to_eight_bit(random_arrays(GEOMETRY, SOURCE_WIDTH, known=1))
    found = Student(small).arrays()
    assert set(found) == set(small) - {"encoder_scale", "decoder_scale"}
    for name in ("encoder", "decoder"):
        assert found[name].dtype == np.float16
        np.testing.assert_allclose(found[name], matrix_of(small, name), rtol=1e-3)
    np.testing.assert_allclose(found["latent_scale"], small["latent_scale"], rtol=1e-6)


def test_what_an_encoder_learns_goes_into_the_latents_scale() -> None:
    student = Student(random_arrays(GEOMETRY, SOURCE_WIDTH, known=1))
    with torch.no_grad():
        student.encoder *= 2
    np.testing.assert_allclose(student.arrays()["latent_scale"], 2.0, rtol=1e-3)


def test_batched_rows_are_those_of_single_memories() -> None:
    own = np.random.default_rng(2).normal(size=(3, 9, GEOMETRY.width)).astype(np.float32)
    batched = BatchedRows(GEOMETRY, device=torch.device("cpu"))
    cache = batched.cache_of(torch.from_numpy(own), torch.float32)
    for number, rows in enumerate(own):
        keys, values = unpack_rows(rows, geometry=GEOMETRY)
        for layer, (key, value) in enumerate(zip(keys, values, strict=True)):
            found = cache.layers[layer]
            np.testing.assert_allclose(found.keys[number].numpy().transpose(1, 0, 2), key, atol=1e-5)
            np.testing.assert_array_equal(found.values[number].numpy().transpose(1, 0, 2), value)
        np.testing.assert_allclose(pack_rows(keys, values, geometry=GEOMETRY), rows, atol=1e-5)
    back = batched.rows_of([(layer.keys, layer.values) for layer in cache.layers])
    np.testing.assert_allclose(back.numpy(), own, atol=1e-5)


def reading(seed: int, texts: dict[str, list[str]] | None = None, length: Length = SHORT):
    reader = Reader(ByteTokenizers(), BOS)
    given = texts or {"words": [text(900, seed=each) for each in range(6)]}
    shares = dict.fromkeys(given, 1.0)
    return batches(given, shares=shares, lengths={length: 1.0}, source=reader, target=reader, seed=seed)


class ByteTokenizers(ByteTokenizer):
    """Of several texts at once, as a fast tokenizer takes them."""

    def __call__(self, texts, **options):
        found = [super(ByteTokenizers, self).__call__(each) for each in texts]
        return {name: [each[name] for each in found] for name in ("input_ids", "offset_mapping")}


def spelled(ids: np.ndarray) -> str:
    return bytes((ids - 1).tolist()).decode()  # a byte's id is one more; BOS is 0


def test_a_batch_pairs_every_target_token_with_its_partner_in_the_source() -> None:
    batch = next(reading(seed=1))
    assert batch.target.shape == (SHORT.texts, 1 + SHORT.context + SHORT.following)
    # One tokenizer on both sides: the pairs are the identity, BOS in front.
    np.testing.assert_array_equal(batch.pairs, np.tile(1 + np.arange(SHORT.context), (SHORT.texts, 1)))
    np.testing.assert_array_equal(batch.source[:, : 1 + SHORT.context], batch.target[:, : 1 + SHORT.context])
    again, other = next(reading(seed=1)), next(reading(seed=2))
    np.testing.assert_array_equal(batch.target, again.target)
    assert not np.array_equal(batch.target, other.target)


def test_some_texts_have_stretches_that_are_read_in_place() -> None:
    drawn = [batch.read for batch in itertools.islice(reading(seed=3), 30)]
    shares = np.concatenate([read.mean(1) for read in drawn])
    assert drawn[0].shape == (SHORT.texts, SHORT.context)
    assert 0.3 < (shares > 0).mean() < 0.7
    assert set(shares) == {0.0, STRETCH / 2 / SHORT.context}  # the end alone: the context is short


def test_half_of_what_is_read_in_place_stands_at_the_end() -> None:
    drawn = itertools.islice(reading(seed=3, texts={"words": ["The river rose again. " * 200]}, length=LONG), 20)
    rows = [row for batch in drawn for row in batch.read if row.any()]
    halves = [round(share * LONG.context) // 2 for share in READ]
    ends = [int(np.argmin(row[::-1])) for row in rows]
    assert set(halves) <= set(ends)
    assert min(ends) == halves[0]
    most = max(int(row.sum()) for row in rows)
    assert 1.5 * halves[-1] < most <= 2 * halves[-1]  # the other half are stretches, of which some overlap


def test_what_is_read_in_place_is_the_targets_own_and_only_where_the_text_is_known(tiny) -> None:
    student = Student(random_arrays(tiny.geometry, tiny.geometry.width, known=1, noise=0.05))
    network = Network.of(tiny.network, tiny.geometry)
    batch = next(each for each in reading(seed=3) if each.read.any())
    with torch.no_grad():
        (own, _, known), (_, _, unknown) = (
            training.predicted_rows(student, batch, source=network, target=network, known=each)
            for each in (True, False)
        )
    own, known, unknown = (rows[:, 1:].numpy() for rows in (own, known, unknown))  # without BOS
    read, layer = batch.read, tiny.geometry.layer_width  # the first layer is known of every token
    np.testing.assert_array_equal(known[read], own[read])
    assert (known[~read][:, layer:] != own[~read][:, layer:]).any(1).all()
    assert (unknown[read] != own[read]).any(1).all()


def test_what_a_context_says_between_its_sentences_is_asked_for_behind_it() -> None:
    batch = next(reading(seed=1, texts={RECALL: ["The river rose again. " * 200]}, length=LONG))
    for row in batch.target[:, 1:]:
        said, asked = spelled(row[: LONG.context]), spelled(row[LONG.context :])
        assert said.count("The river rose again.") >= 2
        whole = [line for line in asked.split("\n")[1:-1] if line]
        assert whole
        for question, answer in (line.split("? ") for line in whole):
            assert question[0].isupper()
            assert max(answer.rstrip(".").split(), key=len).strip("'").removesuffix("s").lower() in said.lower()


def test_what_is_read_in_place_of_a_text_for_recall_are_statements() -> None:
    rows = [
        (spelled(ids[1 : 1 + LONG.context]), read)
        for batch in itertools.islice(
            reading(seed=1, texts={RECALL: ["The river rose again. " * 200]}, length=LONG), 20
        )
        for ids, read in zip(batch.target, batch.read, strict=True)
    ]
    found = [("".join(itertools.compress(said, read)), read[-1]) for said, read in rows if read.any()]
    assert 0.3 * len(rows) < len(found) < 0.7 * len(rows)
    for said, to_the_end in found:
        assert said[0].isupper()
        assert to_the_end or said.endswith((".", "'"))
        assert "The river rose" not in said
        assert len(said) <= round(READ[-1] * LONG.context)


def test_a_text_too_short_for_what_is_to_be_said_in_it_stays_as_it_is() -> None:
    batch = next(reading(seed=1, texts={RECALL: ["The river rose again. " * 40]}))
    assert "?" not in spelled(batch.target[:, 1:].ravel())


def test_texts_that_are_too_short_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no text is long enough for 40 tokens"):
        next(reading(seed=0, texts={"words": ["too short"]}))


def train(model, start: dict[str, np.ndarray], *, steps: int, **options: object) -> dict[str, np.ndarray]:
    learner = model.__class__(
        **{name: getattr(model, name) for name in model.__slots__} | {"tokenizer": ByteTokenizers()}
    )
    return distilled(
        start,
        {"words": [text(900, seed=each) for each in range(12)]},
        models=(learner, learner),
        settings=Settings(steps=steps, rate=0.05),
        drawing=Drawing({SHORT: 1.0}),
        **{"progress": lambda _done, _total: None} | options,
    )


@pytest.mark.parametrize("at_once", [5, 1_000])
def test_a_divergence_computed_in_parts_is_that_of_all_logits_with_its_gradient(tiny, monkeypatch, at_once) -> None:
    monkeypatch.setattr(training, "SCORED_AT_ONCE", at_once)
    start = random_arrays(tiny.geometry, tiny.geometry.width, known=1, noise=0.05)
    student, network, batch = Student(start), Network.of(tiny.network, tiny.geometry), next(reading(seed=1))
    divergence = divergence_of(student, batch, source=network, target=network, known=True)
    divergence.backward()
    found = {name: each.grad.clone() for name, each in student.named_parameters()}
    student.zero_grad()

    _, states, predicted = training.predicted_rows(student, batch, source=network, target=network, known=True)
    following = torch.from_numpy(batch.target[:, 1 + batch.context :])
    said = network.log_probabilities(network.go_on(predicted, following))
    wanted = network.log_probabilities(states[:, 1 + batch.context :])
    whole = (wanted.exp() * (wanted - said)).sum(-1).mean()
    whole.backward()
    assert divergence.item() == pytest.approx(whole.item(), rel=1e-4)
    for name, each in student.named_parameters():
        torch.testing.assert_close(found[name], each.grad, rtol=1e-3, atol=1e-7, msg=name)


def test_training_lowers_the_divergence_on_texts_that_it_has_not_seen(tiny) -> None:
    geometry = tiny.geometry
    start = random_arrays(geometry, geometry.width, known=1, noise=0.05)
    network = Network.of(tiny.network, geometry)
    unseen = next(reading(seed=99, texts={"words": [text(900, seed=each) for each in range(50, 56)]}))

    def divergence(arrays: dict[str, np.ndarray], *, known: bool) -> float:
        with torch.no_grad():
            return divergence_of(Student(arrays), unseen, source=network, target=network, known=known).item()

    learnt = train(tiny, start, steps=120)
    assert divergence(learnt, known=True) < 0.9 * divergence(start, known=True)
    assert divergence(learnt, known=False) < divergence(start, known=False)
    assert learnt["encoder"].dtype == np.float16


def test_a_training_that_broke_off_goes_on_and_ends_with_the_same_map(tiny, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(training, "KEPT_EVERY", 4)
    start = random_arrays(tiny.geometry, tiny.geometry.width, known=1, noise=0.05)
    straight = train(tiny, start, steps=12)
    unfinished = Unfinished.of(Origin("source", "target", {}), cache=tmp_path)
    began: list[int] = []

    def breaks(done: int, _total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny, start, steps=12, unfinished=unfinished, progress=breaks)
    again = train(tiny, start, steps=12, unfinished=unfinished, progress=lambda done, _total: began.append(done))
    assert began[0] == 8
    for name, array in straight.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    unfinished.remove()
    assert unfinished.read() is None


def test_a_step_holds_as_many_texts_of_each_length_as_its_tokens_allow() -> None:
    assert lengths_of(STEP_TOKENS) == LENGTHS
    assert [(each.context, each.texts) for each in lengths_of(4_500)] == [(256, 12), (512, 6), (1024, 4), (2048, 2)]
    assert {each.texts for each in lengths_of(1)} == {1}


@pytest.mark.parametrize("recall", [0.0, 0.15, 0.5])
def test_texts_for_recall_are_the_share_that_is_asked_for(recall: float) -> None:
    shares = Drawing(LENGTHS, recall).shares(["news", "encyclopaedia", "letters"])
    assert shares[RECALL] / sum(shares.values()) == pytest.approx(recall)
    assert shares["encyclopaedia"] == 2 * shares["news"]
