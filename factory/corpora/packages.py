"""Text of installed packages, read from their files: code, documentation, descriptions, licences and translations.

Nothing is imported. The packages are pinned in constraints.txt; the standard library is left out, since its text
changes with the patch release of Python.
"""

import ast
import gettext
import importlib.metadata
import importlib.util
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from factory.corpora.documents import Origin
from latentmas.protocol.errors import InvalidInput

LEAST_SOURCE = 1_500  # characters of a module
LEAST_DOCSTRING = 1_000  # characters
LEAST_DESCRIPTION = 500  # characters
LEAST_LICENCE = 500  # characters
SKIPPED_PARTS = frozenset(
    {
        "tests",
        "test",
        "testing",
        "migrations",
        "locale",
        "_generated",
        "generated",
        "_internal",
        "_vendor",
        "_unicode_data",
    }
)
SKIPPED_NAMES = re.compile(
    r"(test_.*|.*_tests?|conftest|_?version|_mapping|.*_builtins|__config__|_distributor_init)\.py"
    r"|(.*cmake_macros|variable_factories|.*_generated|.*_enum|.*[Cc]uda.*|.*xpu.*)\.h"
)
HEADER = re.compile(r"\A(#.*\n|[ \t]*\n)+")  # comments in front: licence, encoding, interpreter
# Every header of torch's wheel stands in one condition: its last lines would be what is scored.
CONDITION = re.compile(
    r'\A#if !defined\(TORCH_STABLE_ONLY\).*\n|#else\n#error "This file should not be .*\n#endif.*\s*\Z'
)
LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)
LONG_STRING = re.compile(rf'"""(?:(?!""").){{{LEAST_DOCSTRING}}}', re.DOTALL)
RESOLUTION = "Install the extras `server`, `models` and `dev` at the versions of constraints.txt (`make setup`)."


def modules(packages: Sequence[str]) -> Iterator[Origin]:
    """Yield the source of the packages' modules, without the licence in front; no tests, generated and small ones.

    Raises InvalidInput if a package is missing.
    """
    for file, place in _sources(packages):
        text = HEADER.sub("", file.read_text(encoding="utf-8"))
        if len(text) >= LEAST_SOURCE:
            yield Origin(place, text)


def headers(folders: Sequence[str]) -> Iterator[Origin]:
    """Yield the C++ headers of package folders, without small and generated ones. InvalidInput if one is missing."""
    for file, place in _sources(folders, suffix=".h"):
        text = CONDITION.sub("", file.read_text(encoding="utf-8"))
        if len(text) >= LEAST_SOURCE:
            yield Origin(place, text)


def docstrings(packages: Sequence[str]) -> Iterator[Origin]:
    """Yield the long docstrings of the packages' modules, classes and functions. InvalidInput if one is missing."""
    for file, place in _sources(packages):
        text = file.read_text(encoding="utf-8")
        if LONG_STRING.search(text) is None:
            continue
        for name, docstring in _documented(ast.parse(text)):
            if len(cleaned := inspect.cleandoc(docstring)) >= LEAST_DOCSTRING:
                yield Origin(f"{place}: {name}" if name else place, cleaned)


def descriptions(distributions: Sequence[str]) -> Iterator[Origin]:
    """Yield the long descriptions of installed distributions. InvalidInput if one is missing."""
    for name in distributions:
        text = _distribution(name).metadata.json.get("description")
        if isinstance(text, str) and len(text) >= LEAST_DESCRIPTION:
            yield Origin(f"description of {name}", text)


def licences(distributions: Sequence[str]) -> Iterator[Origin]:
    """Yield the licence files beside the metadata of installed distributions. InvalidInput if one is missing."""
    for name in distributions:
        for file in sorted(_distribution(name).files or [], key=str):
            if not _is_licence(file):
                continue
            text = Path(str(file.locate())).read_text("utf-8", errors="replace")
            if len(text) >= LEAST_LICENCE:
                yield Origin(f"{name}: {file.name}", text)


def messages(language: str) -> str:
    """Return all messages of Django and its apps in a language, one a line, in the order of the English ones.

    Raises InvalidInput where Django is missing or does not speak it.
    """
    found: dict[str, str] = {}
    for path in sorted(package_folder("django").rglob(f"locale/{language}/LC_MESSAGES/*.mo")):
        with path.open("rb") as file:
            catalogue = vars(gettext.GNUTranslations(file))["_catalog"]
        found |= {str(key): text for key, text in catalogue.items() if key}
    if not found:
        raise InvalidInput(f"the package django has no messages in the language {language}", resolution=RESOLUTION)
    return "\n".join(text for _, text in sorted(found.items()))


def _is_licence(file: PurePath) -> bool:
    in_metadata = any(part.endswith(".dist-info") for part in file.parts)
    return in_metadata and LICENCE_FILE.search(file.name) is not None and file.suffix != ".py"


def _sources(packages: Sequence[str], *, suffix: str = ".py") -> Iterator[tuple[Path, str]]:
    """Yield the source files of packages such as `django` or `torch/nn`, in the order of their paths."""
    for package in packages:
        top, *below = package.split("/")
        root = package_folder(top)
        for file in sorted(root.joinpath(*below).rglob(f"*{suffix}")):
            inside = file.relative_to(root)
            if SKIPPED_PARTS.isdisjoint(inside.parts) and SKIPPED_NAMES.fullmatch(file.name) is None:
                yield file, f"{top}/{inside.as_posix()}"


def package_folder(package: str) -> Path:
    """Return the folder of an installed package, which is not imported. InvalidInput if it is missing."""
    specification = importlib.util.find_spec(package)
    if specification is None or specification.origin is None:
        raise InvalidInput(f"the package {package}, whose text is used, is not installed", resolution=RESOLUTION)
    return Path(specification.origin).parent


def _documented(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and docstring of a module, its classes and functions; what a function defines is left out."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if (docstring := ast.get_docstring(node, clean=False)) is not None:
            yield prefix, docstring
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _documented(child, f"{prefix}.{child.name}" if prefix else child.name)
        elif isinstance(child, ast.If | ast.Try):
            yield from _documented(child, prefix)


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise InvalidInput(f"the package {name}, whose text is used, is not installed", resolution=RESOLUTION) from None
