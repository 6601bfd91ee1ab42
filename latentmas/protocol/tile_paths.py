"""Paths of tiles as C2SP tlog-tiles writes them: 1234067 is `x001/x234/067`, and `.p/<width>` names a partial tile."""

import re

from latentmas.protocol.merkle import TILE_WIDTH

PATH = re.compile(r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)
GROUP = 1000


def tile_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile's index; with a partial one's suffix where it is not full."""
    groups = [f"{index % GROUP:03}"]
    while index := index // GROUP:
        groups.insert(0, f"x{index % GROUP:03}")
    return "/".join(groups) + ("" if width == TILE_WIDTH else f".p/{width}")


def read_tile_path(path: str) -> tuple[int, int] | None:
    """Return index and width of a tile; None for a path that `tile_path` never writes."""
    if (match := PATH.fullmatch(path)) is None:
        return None
    index, width = int(re.sub("[x/]", "", match[1])), int(match[2] or TILE_WIDTH)
    return (index, width) if width <= TILE_WIDTH and tile_path(index, width) == path else None
