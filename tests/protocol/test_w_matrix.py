from pathlib import Path

import numpy as np
import pytest

from latentmas.protocol import tensors
from latentmas.protocol.canonical import plain
from latentmas.protocol.eight_bit import to_eight_bit
from latentmas.protocol.errors import DimensionMismatch, InvalidInput
from latentmas.protocol.geometry import KVGeometry
from latentmas.protocol.quality import Basis
from latentmas.protocol.w_matrix import (
    Distribution,
    Method,
    QualityMetrics,
    Space,
    TokenAlignment,
    WMatrixBuilder,
    read_document,
    read_w_matrix,
)

SOURCE = KVGeometry(1, 2, 2, 2, (10_000.0,), (None,))  # 8 wide
TARGET = KVGeometry(1, 1, 2, 2, (10_000.0,), (None,))  # 4 wide
METRICS = QualityMetrics(Basis.FUNCTIONAL, 0.75, 0.75, 36)


def builder() -> WMatrixBuilder:
    generator = np.random.default_rng(0)
    return (
        WMatrixBuilder()
        .set_version("1.0.0")
        .set_models("alpha", "beta", source_weights="sha256:" + "0" * 64)
        .set_geometry(SOURCE, TARGET)
        .set_method(Method.LEARNED, token_alignment=TokenAlignment.CAUSAL_SPANS)
        .set_weights(generator.normal(size=(8, 3)).astype("f2"), generator.normal(size=(3, 4)).astype("f2"))
        .set_arrays(source_mean=np.zeros(8, "f4"), source_scale=np.ones(8, "f4"))
        .set_arrays(target_mean=np.zeros(4, "f4"), target_scale=np.ones(4, "f4"))
        .set_quality(METRICS)
    )


def saved(tmp_path: Path, change: dict[str, object] | None = None, **arrays: np.ndarray) -> Path:
    """Write a W-Matrix with parts of its document or arrays replaced, as a careless or hostile writer could."""
    w_matrix = builder().build()
    document = plain(w_matrix.document) | (change or {})
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        tensors.write(file, w_matrix.arrays | arrays, document)
    return path


def test_a_w_matrix_reads_back_as_it_was_built(tmp_path: Path) -> None:
    w_matrix = builder().build()
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        w_matrix.write(file)
    again = read_w_matrix(path)
    assert again.document == w_matrix.document
    assert again.document.unified_dimension == 3
    for name, array in w_matrix.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


def test_the_same_w_matrix_has_the_same_digest(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        with (tmp_path / name).open("wb") as file:
            builder().build().write(file)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_the_builder_names_what_is_missing() -> None:
    with pytest.raises(InvalidInput, match="lacks version, source_model, method, encoder, quality_metrics"):
        WMatrixBuilder().build()


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0-beta", "01.0.0", "1.0.0\n", ""])
def test_the_builder_refuses_a_wrong_version_string(version: str) -> None:
    with pytest.raises(InvalidInput, match=r"MAJOR\.MINOR\.PATCH"):
        WMatrixBuilder().set_version(version)


def test_the_builder_refuses_one_model_on_both_sides() -> None:
    with pytest.raises(InvalidInput, match="same model"):
        WMatrixBuilder().set_models("alpha", "alpha")


def test_the_builder_refuses_factors_that_do_not_fit() -> None:
    with pytest.raises(DimensionMismatch, match=r"\(8, 3\) does not fit a decoder \(2, 4\)"):
        WMatrixBuilder().set_weights(np.ones((8, 3), "f2"), np.ones((2, 4), "f2"))


def test_the_builder_refuses_values_that_are_not_finite() -> None:
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        builder().set_arrays(target_bos=np.array([np.nan] * 4, "f4"))


def test_the_builder_refuses_a_unified_dimension_above_its_standard() -> None:
    wide = builder().set_weights(np.ones((8, 4097), "f2"), np.ones((4097, 4), "f2"))
    with pytest.raises(InvalidInput, match="exceeds the standard 4096"):
        wide.build()


def test_the_builder_refuses_a_scale_that_is_not_positive() -> None:
    with pytest.raises(InvalidInput, match="target_scale must be positive"):
        builder().set_arrays(target_scale=np.array([1, 1, 0, 1], "f4")).build()


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"version": "one"}, InvalidInput, "not a version"),
        ({"protocol": "LatentMAS/3.0"}, InvalidInput, "LatentMAS/3.0"),
        ({"method": "magic"}, InvalidInput, "malformed"),
        ({"source_dimension": 9}, DimensionMismatch, "geometry is 8 wide"),
        ({"unified_dimension": 2}, DimensionMismatch, "document asks for"),
        ({"target_geometry": None, "target_dimension": 5}, DimensionMismatch, "document asks for"),
        ({"surprise": 1}, InvalidInput, "unknown fields: surprise"),
        ({"transformation_rules": {"encoder": "encoder"}}, InvalidInput, "lack decoder"),
        ({"quality_metrics": {"basis": "guessed"}}, InvalidInput, "malformed"),
    ],
)
def test_reading_refuses_a_document_that_does_not_match_its_tensors(
    tmp_path: Path, change: dict[str, object], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        read_document(saved(tmp_path, change))


def test_reading_refuses_a_tensor_nobody_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="exactly the tensors"):
        read_document(saved(tmp_path, extra=np.ones(1)))


def test_reading_refuses_values_that_are_not_finite(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        read_w_matrix(saved(tmp_path, encoder=np.full((8, 3), np.inf, "f2")))


def test_the_eight_bit_form_reads_back_with_its_scales_and_its_distribution(tmp_path: Path) -> None:
    half = builder().build()
    small = to_eight_bit(half.arrays)
    rest = {name: array for name, array in small.items() if name not in ("encoder", "decoder")}
    w_matrix = (
        builder()
        .set_weights(small["encoder"], small["decoder"])
        .set_arrays(**rest, latent_scale=np.ones(3, "f4"), source_bos=np.zeros(8, "f4"))
        .set_distribution(Distribution(low=0.5, high=2.0, documents=20))
        .build()
    )
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        w_matrix.write(file)
    again = read_w_matrix(path)
    assert again.document.distribution == Distribution(0.5, 2.0, 20)
    assert again.arrays["encoder"].dtype == np.int8
    np.testing.assert_array_equal(again.arrays["encoder_scale"], small["encoder_scale"])


def test_an_eight_bit_matrix_without_its_scales_is_refused() -> None:
    small = to_eight_bit(builder().build().arrays)
    with pytest.raises(InvalidInput, match="encoder_scale"):
        builder().set_weights(small["encoder"], small["decoder"]).build()


def test_a_realignment_stays_within_one_model() -> None:
    same = builder().set_models("alpha", "alpha", space=Space.REALIGNMENT).build()
    assert same.document.space is Space.REALIGNMENT
    with pytest.raises(InvalidInput, match="stays within one model"):
        builder().set_models("alpha", "beta", space=Space.REALIGNMENT)
