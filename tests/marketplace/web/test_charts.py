from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from latentmas.protocol.quality import Interval
from marketplace.web.charts import Arm, Series, interval_bar, layer_chart, retention_chart

SVG = "{http://www.w3.org/2000/svg}"
figures = st.floats(-50, 50, allow_nan=False)


def tree(markup):
    return ElementTree.fromstring(str(markup).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def arm(value, label="Arm", kind="own"):
    return Arm(label, Interval(value, value - 0.1, value + 0.1), kind)


def test_the_retention_chart_says_every_figure_in_words():
    chart = tree(retention_chart([arm(0.86, "This W-Matrix"), arm(-0.3, "Wrong document", "control")]))
    assert chart.get("role") == "img"
    assert chart.find(f"{SVG}title").text.startswith("Retention")
    assert chart.find(f"{SVG}desc").text == (
        "This W-Matrix: 0.860 (0.760 to 0.960); Wrong document: -0.300 (-0.400 to -0.200)."
    )


def test_a_better_arm_has_a_longer_bar():
    chart = tree(retention_chart([arm(0.9), arm(0.3)]))
    better, worse = (float(bar.get("width")) for bar in chart.iter(f"{SVG}rect"))
    assert better > 2.9 * worse


def test_a_harmful_arm_points_to_the_left():
    chart = tree(retention_chart([arm(0.9), arm(-0.4)]))
    good, bad = chart.iter(f"{SVG}rect")
    assert float(bad.get("x")) + float(bad.get("width")) <= float(good.get("x")) + 0.2


def test_labels_are_escaped():
    assert "<script>" not in str(retention_chart([arm(0.5, "<script>")]))


@given(st.lists(figures, min_size=1, max_size=6))
def test_every_bar_stays_inside_its_chart(values):
    chart = tree(retention_chart([arm(value) for value in values]))
    width = float(chart.get("viewBox").split()[2])
    for bar in chart.iter(f"{SVG}rect"):
        assert 0 <= float(bar.get("x")) <= float(bar.get("x")) + float(bar.get("width")) <= width


@given(st.lists(st.none() | st.floats(-1, 1, allow_nan=False), min_size=1, max_size=40))
def test_a_layer_chart_has_a_dot_for_every_measured_layer(values):
    if all(value is None for value in values):
        values = [*values, 0.5]
    chart = tree(layer_chart([Series("key cosine", values, "key"), Series("attention", [None], "attention")]))
    dots = list(chart.iter(f"{SVG}circle"))
    assert len(dots) == sum(value is not None for value in values)
    height = float(chart.get("viewBox").split()[3])
    assert all(0 <= float(dot.get("cy")) <= height for dot in dots)
    assert "attention" not in "".join(chart.itertext())


def test_labels_of_lines_that_end_together_do_not_overlap():
    chart = tree(layer_chart([Series(name, [0.9, 0.9], "key") for name in ("one", "two", "three")]))
    places = sorted(
        float(text.get("y")) for text in chart.iter(f"{SVG}text") if text.get("class", "").startswith("end")
    )
    assert len(places) == 3
    assert min(b - a for a, b in pairwise(places)) >= 15


@given(figures)
def test_the_small_bar_never_leaves_its_cell(value):
    for mark in tree(interval_bar(Interval(value, value - 1, value + 1))).iter(f"{SVG}rect"):
        assert 0 <= float(mark.get("x", 0)) <= 120
