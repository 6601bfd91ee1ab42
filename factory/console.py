"""Progress bars of the management commands on a terminal."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from factory import progress


def bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def stage_in(display: Progress) -> progress.Stage:
    """Return a `Stage` that shows each part of the work as a progress bar of the display."""

    def stage(name: str) -> progress.Progress:
        task = display.add_task(name, total=None)

        def update(done: int, total: int) -> None:
            display.update(task, completed=done, total=total)

        return update

    return stage
