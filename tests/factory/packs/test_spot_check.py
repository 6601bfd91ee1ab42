"""Packs that are not what their model makes of the corpus, each found by the comparison that is meant to find it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory.corpora import Split
from factory.packs import spot_check as module
from factory.packs.pack import OpenedPack, open_pack
from factory.packs.spot_check import require_sink, spot_check
from factory.progress import silent
from factory.runners.model import RunningModel
from latentmas.protocol import tensors
from latentmas.protocol.errors import InvalidInput
from tests.tiny import corpus

CORPUS = corpus()  # its documents are equally long, and a token is a character: spans tell nothing
Arrays = dict[str, np.ndarray]
Spoil = Callable[[Arrays, dict[str, Any], Callable[[Split, int], slice]], None]


@pytest.fixture
def spoilt(path: Path, tmp_path: Path) -> Callable[[Spoil], OpenedPack]:
    """Writes and opens the pack with other arrays or another document; `at` gives the rows of a split's document."""
    pack = open_pack(path)

    def at(split: Split, number: int) -> slice:
        index = list(pack.indices(split).values())[number]
        return slice(int(pack.starts[index]), int(pack.starts[index + 1]))

    def write(spoil: Spoil) -> OpenedPack:
        arrays, document = {name: pack.file.read(name) for name in pack.file.tensors}, dict(pack.file.document)
        spoil(arrays, document, at)
        with (tmp_path / "spoilt").open("wb") as file:
            tensors.write(file, arrays, document)
        return open_pack(tmp_path / "spoilt")

    return write


def check(pack: OpenedPack, model: RunningModel) -> None:
    spot_check(pack, model=model, corpus=CORPUS, progress=silent("check"))


def nothing(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    pass


def zeroed_sink(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    arrays["bos"][:] = 0


def foreign_document(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    document["documents"] = ["ab" * 32, *document["documents"][1:]]


def foreign_split(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    document["splits"] = [Split.HELD_OUT.value, *document["splits"][1:]]


def foreign_spans(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    arrays["spans"][7] = (7, 9)


def fewer_tokens(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    arrays["rows"], arrays["spans"] = arrays["rows"][:-1], arrays["spans"][:-1]
    arrays["starts"][-1] -= 1


def swapped_documents(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    one, other = at(Split.CALIBRATION, 2), at(Split.CALIBRATION, 3)
    arrays["rows"][one], arrays["rows"][other] = arrays["rows"][other].copy(), arrays["rows"][one].copy()


def held_out_rows(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    arrays["rows"][at(Split.CALIBRATION, 1)] = arrays["rows"][at(Split.HELD_OUT, 0)]


def held_out_rows_above_the_first_layer(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
    own = arrays["rows"].copy()
    for number in range(5):
        arrays["rows"][at(Split.CALIBRATION, number), own.shape[1] // 2 :] = own[
            at(Split.HELD_OUT, 0), own.shape[1] // 2 :
        ]


def test_a_pack_that_the_model_made_passes(spoilt, tiny) -> None:
    check(spoilt(nothing), tiny)


@pytest.mark.parametrize(
    ("spoil", "field", "said"),
    [
        (zeroed_sink, "bos", "differ by 100.0% of their norm"),
        (foreign_document, "documents", "right would be a document of words"),
        (foreign_split, "splits", "it has held-out, right would be calibration"),
        (foreign_spans, "spans", r"token 7; it has \[7, 9\], right would be \[7, 8\]"),
        (fewer_tokens, "spans", "it has 699 tokens, right would be 700 tokens"),
        (swapped_documents, "rows", "of layer 0 differ"),
        (held_out_rows, "rows", "of layer 0 differ"),
        (held_out_rows_above_the_first_layer, "rows", "of layer 1 differ"),
    ],
)
def test_what_the_model_did_not_make_is_refused_with_what_came_and_what_is_right(
    spoilt, tiny, spoil, field, said
) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        check(spoilt(spoil), tiny)
    assert refused.value.facts["field"] == field
    assert {"given", "expected"} <= set(refused.value.facts)


@pytest.mark.parametrize(("spoil", "number"), [(swapped_documents, 2), (held_out_rows, 1)])
def test_rows_of_another_text_are_found_in_every_document_and_name_it(spoilt, tiny, monkeypatch, spoil, number) -> None:
    """No luck is needed: the first layer of every row is compared."""
    monkeypatch.setattr(module, "COMPARED", {})
    pack = spoilt(spoil)
    with pytest.raises(InvalidInput) as refused:
        check(pack, tiny)
    assert refused.value.facts["document"] == list(pack.indices(Split.CALIBRATION))[number]


def test_the_documents_that_are_compared_whole_are_drawn_anew(path) -> None:
    pack = open_pack(path)
    drawn = [module._chosen(pack) for _ in range(20)]
    assert {len(set(each)) for each in drawn} == {len(drawn[0])}
    assert len({tuple(each) for each in drawn}) > 1
    assert all(pack.document.splits[index] in module.COMPARED for index in drawn[0])


def test_rounding_to_fp16_passes_and_a_twentieth_does_not(tiny) -> None:
    own = tiny.capture(())[0]
    require_sink(own.astype(np.float16).astype(np.float32), tiny, field="bos")
    with pytest.raises(InvalidInput, match="the sink in target_bos"):
        require_sink(own * 1.05, tiny, field="target_bos")


def test_a_cache_of_another_shape_is_refused(spoilt, tiny) -> None:
    def other_theta(arrays: Arrays, document: dict[str, Any], at: Any) -> None:
        document["geometry"] = document["geometry"] | {"thetas": ["500000"] * 2}

    with pytest.raises(InvalidInput) as refused:
        check(spoilt(other_theta), tiny)
    assert refused.value.facts["field"] == "geometry"
