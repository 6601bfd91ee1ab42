"""Tiles have exactly one path each."""

import pytest

from latentmas.protocol.tile_paths import read_tile_path, tile_path


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "000"),
        (999, 1, "999.p/1"),
        (1000, 256, "x001/000"),
        (1_234_067, 256, "x001/x234/067"),  # the specification's
        (273, 112, "273.p/112"),
    ],
)
def test_an_index_is_written_in_groups_of_three(index, width, path):
    assert tile_path(index, width) == path
    assert read_tile_path(path) == (index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0000",
        "x000/001",
        "001/002",
        "x001",
        "000.p/0",
        "000.p/256",
        "000.p/01",
        "000.p/999",
        "x1/000",
        "\N{ARABIC-INDIC DIGIT ZERO}" * 3,
        "../1",
    ],
)
def test_no_other_path_names_a_tile(path):
    assert read_tile_path(path) is None
