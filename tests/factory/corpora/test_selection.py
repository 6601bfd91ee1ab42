"""What ranks are chosen on and forecasts learn from."""

from benchmarks.compression.documents import CHOOSING, UNSEEN
from factory.corpora.selection import LANGUAGES, load_foreign


def test_forecasts_learn_from_languages_by_which_no_gate_is_judged() -> None:
    assert not {f"messages-{language}" for language in LANGUAGES} & {*CHOOSING, *UNSEEN}


def test_every_language_has_different_pieces_for_its_cells() -> None:
    cells = load_foreign()
    assert {(cell.register, cell.length) for cell in cells} == {
        (f"foreign {language}", length) for language in LANGUAGES for length in (256, 1024)
    }
    for cell in cells:
        digests = {each.digest for each in cell.documents}
        assert len(digests) == cell.available >= cell.wanted
        assert all(len(each.text) > 2_000 for each in cell.documents)
