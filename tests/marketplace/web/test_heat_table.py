from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from latentmas.protocol.quality import SAMPLED, Interval
from marketplace.web.charts import WIDTH
from marketplace.web.heat_table import COLUMNS, CROSS, DASH, MINUS, SAMPLED_NOTE, heat_table, rows_of, table_of
from tests.marketplace.sample import SUITE, cell, suite

SVG = "{http://www.w3.org/2000/svg}"


def tree(figures=SUITE):
    return ElementTree.fromstring(str(heat_table(figures)).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def cells_of(kind, figures=SUITE):
    return [group for group in tree(figures).iter(f"{SVG}g") if group.get("class") == kind]


def words(group):
    return [text.text for text in group.iter(f"{SVG}text")]


def test_every_cell_is_said_in_words():
    chart = tree()
    assert chart.get("role") == "img"
    assert chart.find(f"{SVG}title").text == "Retention by register and context length on suite/1"
    said = chart.find(f"{SVG}desc").text.replace("\u202f", " ")
    assert "code at 1 024 tokens: 0.71 (0.69 to 0.73), 0.66 fitted without it" in said
    assert "code at 2 048 tokens: 0.51 (0.49 to 0.53), 0.46 fitted without it, fails" in said
    assert "news at 1 024 tokens: not measured" in said
    assert "sampled at 256 tokens (counts in no mean): 0.40" in said


def test_a_cell_shows_value_interval_documents_and_the_figure_without_its_register():
    shown = [words(group) for group in cells_of("cell")]
    assert [".75", "[.73, .77], n 24", "left out .70"] in shown


def test_a_cell_that_fails_is_marked_and_one_that_was_not_measured_is_a_dash():
    (failing,) = cells_of("cell fail")
    assert words(failing)[0] == f".51 {CROSS} fails"
    assert [words(group) for group in cells_of("cell null")] == [[DASH], [DASH]]


def test_a_cell_that_the_suite_lacks_is_a_dash_too():
    assert len(cells_of("cell null", suite(cell("news", 256, 0.8), cell("code", 1024, 0.8)))) == 2


def test_sampled_text_stands_apart_and_is_never_judged():
    rows = rows_of(suite(cell(SAMPLED, 256, -0.4), cell("news", 256, 0.9)))
    assert [(row.register, row.counts) for row in rows] == [("news", True), (SAMPLED, False)]
    assert SAMPLED_NOTE in "".join(tree().itertext())
    assert SAMPLED_NOTE not in "".join(tree(suite(cell("news", 256, 0.9))).itertext())
    verdicts = {row.cell.register: row.verdict for row in table_of(suite(cell(SAMPLED, 256, -0.4)))}
    assert verdicts == {SAMPLED: "counts in no mean"}


def test_a_better_cell_is_darker():
    better, worse = (
        float(box.get("fill-opacity"))
        for box in tree(suite(cell("a", 256, 0.9), cell("b", 256, 0.6))).iter(f"{SVG}rect")
    )
    assert better > worse


def test_harmful_figures_have_a_true_minus_sign():
    (failing,) = cells_of("cell fail", suite(cell("news", 256, -0.2, aligned=Interval(-0.2, -1.25, 0.1))))
    assert words(failing)[:2] == [f"{MINUS}.20 {CROSS} fails", f"[{MINUS}1.25, .10], n 24"]


def test_the_table_has_every_figure_of_every_cell():
    table = table_of(SUITE)
    assert len(table) == len(SUITE.cells)
    assert all(len(row.figures) == len(COLUMNS) for row in table)


def test_names_are_escaped():
    assert "<script>" not in str(heat_table(suite(cell("<script>", 256, 0.9))))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([256, 1024, 2048])), unique=True))
def test_every_cell_stays_inside_its_picture(places):
    chart = tree(suite(*(cell(register, length, 0.8) for register, length in places)))
    height = float(chart.get("viewBox").split()[3])
    for box in chart.iter(f"{SVG}rect"):
        assert 0 <= float(box.get("x")) <= float(box.get("x")) + float(box.get("width")) <= WIDTH
        assert 0 <= float(box.get("y")) <= float(box.get("y")) + float(box.get("height")) <= height
