"""Run the Python examples of the documentation as they stand there."""

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"(?:^(?: {4}.*)?\n)+", re.MULTILINE)


def example(page: str, beginning: str) -> str:
    """Return the one indented block of a page that begins so."""
    blocks = [found[0] for found in BLOCK.finditer((DOCS / page).read_text())]
    code = ["\n".join(line[4:] for line in block.strip("\n").splitlines()) for block in blocks]
    (found,) = [each for each in code if each.startswith(beginning)]
    return found


def run(page: str, beginning: str, **given: Any) -> dict[str, Any]:
    """Run an example with what it takes for given, and return its names."""
    code = compile(example(page, beginning), page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if inspect.iscoroutine(begun := eval(code, given)):
        asyncio.run(begun)
    return given
