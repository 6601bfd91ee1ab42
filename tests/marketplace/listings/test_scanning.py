"""What the structural scan of a seller's file finds, one defect at a time."""

from dataclasses import replace

import numpy as np
import pytest

from latentmas.protocol.eight_bit import to_eight_bit
from latentmas.protocol.w_matrix import Method, Space, WMatrix
from marketplace.listings.publishing import scanning
from marketplace.listings.publishing.scanning import scan_file
from tests.marketplace.exchange.sample import UNIFIED, w_matrix
from tests.marketplace.sample import SOURCE, TARGET

pytestmark = pytest.mark.django_db
LIMIT = 1 << 28


@pytest.fixture
def scan(registry, tmp_path):
    """Write a W-Matrix, or bytes, and return what the scan finds."""

    def found(made, **listing):
        path = tmp_path / "w.safetensors"
        with path.open("wb") as file:
            file.write(made) if isinstance(made, bytes) else made.write(file)
        pair = {"source_model": SOURCE, "target_model": TARGET, "space": Space.KV_CACHE}
        return scan_file(path, **(pair | listing), max_bytes=LIMIT)

    return found


def with_arrays(**arrays):
    made = w_matrix()
    return WMatrix(made.document, made.arrays | arrays)


def orthogonal(**changes):
    """Orthonormal directions on both sides."""
    made, generator = w_matrix(method=Method.ORTHOGONAL), np.random.default_rng(1)
    sides = {"encoder": made.document.source_dimension, "decoder": made.document.target_dimension}
    directions = {name: np.linalg.qr(generator.normal(size=(width, UNIFIED)))[0] for name, width in sides.items()}
    arrays = {"encoder": directions["encoder"].astype("f4"), "decoder": directions["decoder"].T.astype("f4").copy()}
    return WMatrix(made.document, made.arrays | arrays | changes)


def test_a_sound_file_passes(scan):
    assert scan(w_matrix()) == ()
    assert scan(orthogonal()) == ()


def test_a_sound_file_of_eight_bits_passes(scan):
    made = orthogonal()
    arrays = to_eight_bit(made.arrays)
    rules = {name: name for name in sorted(arrays)}
    assert scan(WMatrix(replace(made.document, transformation_rules=rules), arrays)) == ()


def column_of(name, value):
    factor = w_matrix().arrays[name].copy()
    factor[(slice(None), 0) if name == "encoder" else 0] = value
    return factor


def nearly_the_same(name):
    factor = w_matrix().arrays[name].copy()
    if name == "encoder":
        factor[:, 1] = factor[:, 0] * (1 + 1e-9)
    else:
        factor[1] = factor[0]
    return factor


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: with_arrays(encoder=column_of("encoder", np.nan)), "'encoder' holds NaN"),
        (lambda: with_arrays(encoder=column_of("encoder", 0)), "1 of the 4 latents are zero everywhere in the encoder"),
        (lambda: with_arrays(decoder=column_of("decoder", 0)), "1 of the 4 latents are zero everywhere in the decoder"),
        (lambda: with_arrays(encoder=nearly_the_same("encoder")), "the encoder's condition number is"),
        (lambda: with_arrays(decoder=nearly_the_same("decoder")), "the decoder's condition number is"),
        (lambda: with_arrays(encoder=w_matrix().arrays["encoder"] * np.geomspace(1, 1e8, 4, dtype="f4")), "condition"),
        (lambda: with_arrays(target_scale=np.full(9216, 1e9, "f4")), "target_scale lies between"),
        (lambda: with_arrays(source_scale=np.full(11520, 1e-12, "f4")), "source_scale lies between"),
        (lambda: with_arrays(target_scale=np.zeros(9216, "f4")), "target_scale must be positive"),
        (lambda: with_arrays(source_mean=np.full(11520, 1e9, "f4")), "source_mean reaches 1e+09"),
        (lambda: with_arrays(target_bos=np.zeros(9216, "f4")), "target_bos is zero everywhere"),
        (lambda: with_arrays(source_bos=np.zeros(11520, "f4")), "source_bos is zero everywhere"),
        (lambda: w_matrix(method=Method.ORTHOGONAL), "the method is orthogonal, but the encoder's directions"),
        (lambda: orthogonal(decoder=w_matrix().arrays["decoder"]), "but the decoder's directions"),
    ],
)
def test_a_defect_is_found(scan, made, reason):
    found = scan(made())
    assert any(reason in each for each in found), found


def test_the_condition_of_wide_factors_is_judged_by_their_columns_alone(scan, monkeypatch):
    monkeypatch.setattr(scanning, "GRAM_COLUMNS", UNIFIED - 1)
    assert scan(w_matrix()) == ()
    graded = w_matrix().arrays["encoder"] * np.geomspace(1, 1e8, UNIFIED, dtype="f4")
    assert "the encoder's condition number" in scan(with_arrays(encoder=graded))[0]


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        ({"source_model": "llama-3-8b"}, "the file's source_model is smollm2-135m; that of its listing is llama-3-8b"),
        ({"space": Space.EMBEDDING}, "the file's space is kv-cache; that of its listing is embedding"),
    ],
)
def test_a_file_for_another_pair_is_found(scan, listing, reason):
    assert scan(w_matrix(), **listing) == (reason,)


def test_dimensions_are_those_of_the_registered_models(scan):
    made = w_matrix()
    short = {
        name: array[: len(array) - 64] if name.startswith("source_") or name == "encoder" else array
        for name, array in made.arrays.items()
    }
    document = replace(made.document, source_dimension=made.document.source_dimension - 64, source_geometry=None)
    assert scan(WMatrix(document, short)) == ("source_dimension is 11456; the cache's width of smollm2-135m is 11520",)


def test_the_geometry_is_that_of_the_registered_model(scan):
    made = w_matrix()
    geometry = made.document.target_geometry
    swapped = replace(
        geometry, layers=geometry.layers // 2, heads=2, thetas=geometry.thetas[::2], windows=geometry.windows[::2]
    )
    (reason,) = scan(WMatrix(replace(made.document, target_geometry=swapped), made.arrays))
    assert reason.startswith("the target's layers is 9")


def header(data):
    return len(data).to_bytes(8, "little") + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        (1 << 62).to_bytes(8, "little") + b"{}",
        header(b"[" * 100_000),
        header(b'{"__metadata__": {"latentmas": "{}"}}'),
        header(b'{"__metadata__": {"latentmas": "{}", "more": ""}}'),
        header(
            b'{"__metadata__": {"latentmas": "{}"}, "encoder": {"dtype": "F32", "shape": [4294967295, 4294967295],'
            b' "data_offsets": [0, 8]}}'
        )
        + b"\0" * 8,
        header(
            b'{"__metadata__": {"latentmas": "{}"}, "encoder": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}'
        )
        + b"\0" * 16,
    ],
    ids=["empty", "zip", "huge header", "deep", "no tensors", "two keys", "overflow", "gap"],
)
def test_a_hostile_file_gives_one_reason(scan, content):
    assert len(scan(content)) == 1
