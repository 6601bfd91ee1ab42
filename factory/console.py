"""Progress bars of the management commands on a terminal."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from factory import progress


def bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def stage_in(display: Progress) -> progress.Stage:
    """Return a `Stage` that shows each part of the work as a progress bar of the display.

    Where the output is no terminal, it prints a line when a part begins and one when it ends.
    """
    if not display.console.is_terminal:
        return _lines(display.console)

    def stage(name: str) -> progress.Progress:
        task = display.add_task(name, total=None)

        def update(done: int, total: int) -> None:
            display.update(task, completed=done, total=total)

        return update

    return stage


def _lines(console: Console) -> progress.Stage:
    def stage(name: str) -> progress.Progress:
        begun = time.monotonic()
        console.print(f"{name} ...", markup=False, highlight=False)

        def update(done: int, total: int) -> None:
            if done == total:
                console.print(f"{name}: done, {time.monotonic() - begun:.0f} s", markup=False, highlight=False)

        return update

    return stage
