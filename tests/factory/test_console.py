"""Progress of the management commands where nobody looks at a terminal."""

from io import StringIO

from rich.console import Console

from factory.console import bars, stage_in


def test_without_a_terminal_a_stage_prints_a_line_when_it_begins_and_one_when_it_ends() -> None:
    out = StringIO()
    with bars(Console(file=out, width=160)) as display:
        progress = stage_in(display)("capture a-model")
        for done in range(4):
            progress(done, 3)
    assert [line.strip() for line in out.getvalue().splitlines() if line.strip()] == [
        "capture a-model ...",
        "capture a-model: done, 0 s",
    ]
