"""Whatever a user can set, run, call or meet as an error must be written down: enumerated here from the code."""

import ast
import re
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from latentmas.rest.scopes import SCOPES
from latentmas.rest.service import error_codes

ROOT = Path(__file__).parent.parent
PACKAGES = ("latentmas", "kvcache", "marketplace", "factory")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
DOCS = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
PAGES = {page.relative_to(ROOT): page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
OURS = "|".join((*PACKAGES, "awareness_sdk", "benchmarks", "tests"))
PATH = re.compile(rf"(?<![\w./-])((?:{OURS})/[\w./-]*\w|[\w./-]+\.py\b)")
DOTTED = re.compile(rf"(?<![\w./-])((?:{OURS})(?:\.[A-Za-z_]\w*)+)")
IMPORTED = re.compile(rf"\bfrom ((?:{OURS})[\w.]*) import (\w+(?:, \w+)*)")
COMMAND = re.compile(rf"\bpython -m ((?:{OURS})[\w.]*)")
SETTING = re.compile(r'(?:env\.\w+|os\.environ\.\w+)\(\s*"([A-Z0-9_]+)"')
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


def paths():
    """The files and folders that a page mentions."""
    return {(page, name) for page, text in PAGES.items() for name in PATH.findall(text)}


def dotted_names():
    """The modules that a page mentions, alone or with names in them."""
    for page, text in PAGES.items():
        yield from ((page, name) for name in DOTTED.findall(text))
        for module, names in IMPORTED.findall(text):
            yield from ((page, f"{module}.{name}") for name in names.split(", "))


def commands_of_modules():
    return {(page, name) for page, text in PAGES.items() for name in COMMAND.findall(text)}


def exists(path):
    """Return whether the tree has the file or folder; a file's name alone may be that of any module."""
    return (ROOT / path).exists() or ("/" not in path and any(source.name == path for source in SOURCES))


def resolves(dotted):
    """Return whether a dotted name is a module or a name in one, without importing it."""
    *folders, last = dotted.split(".")
    place = ROOT.joinpath(*folders)
    if (place / last).is_dir() or (place / f"{last}.py").exists():
        return True
    module = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return module.exists() and last in names_in(module)


def names_in(module):
    """Return what a module defines or imports at its top."""
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def settings():
    return {
        *SETTING.findall((ROOT / "latentmas/settings.py").read_text()),
        "SECRET_KEY_FILE",
        "SECRET_KEY_FALLBACKS_FILE",
        "DATABASE_URL",
    }


def commands():
    return {path.stem for path in SOURCES if path.parent.name == "commands" and path.stem != "__init__"}


def event_names():
    """Read from the source: tests register event types of their own."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "event":
                yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def codes():
    """Read from the source: an error is raised long before its module is imported here."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
                    value = getattr(item, "value", None)
                    if any(isinstance(each, ast.Name) and each.id == "code" for each in targets):
                        yield from [value.value] if isinstance(value, ast.Constant) else []
    yield from (each.code for each in error_codes())


def addresses(patterns, prefix="/"):
    for each in patterns:
        path = prefix + CONVERTER.sub(r"{\1}", str(each.pattern))
        if isinstance(each, URLPattern):
            yield path
        elif isinstance(each, URLResolver) and not path.startswith("/admin/"):
            yield from addresses(each.url_patterns, path)


@pytest.mark.parametrize("name", sorted(settings()))
def test_every_environment_variable_is_documented(name):
    assert f"`{name}`" in DOCS


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_management_command_is_documented(name):
    assert f"`{name}`" in DOCS


@pytest.mark.parametrize("name", sorted(set(event_names())))
def test_every_event_type_is_documented(name):
    assert f"`{name}`" in DOCS


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_is_documented(scope):
    assert f"| `{scope}` | " in DOCS


@pytest.mark.parametrize("code", sorted(set(codes()) - {"ERROR"}))
def test_every_error_code_is_documented_with_its_status(code):
    assert re.search(rf"^\| `{code}` \| \d{{3}} \| .+ \|$", DOCS, re.MULTILINE)


@pytest.mark.parametrize("address", sorted(addresses(get_resolver().url_patterns)))
def test_every_address_is_documented(address):
    assert re.search(rf"`(?:GET |POST )?{re.escape(address)}`", DOCS)


@pytest.mark.parametrize("each", error_codes(), ids=lambda each: each.code)
def test_the_documented_status_is_the_one_that_is_sent(each):
    assert f"| `{each.code}` | {each.status} |" in DOCS


@pytest.mark.parametrize(("page", "path"), sorted(paths()), ids=str)
def test_every_file_that_is_mentioned_exists(page, path):
    assert exists(path)


@pytest.mark.parametrize(("page", "name"), sorted(set(dotted_names())), ids=str)
def test_every_module_and_name_that_is_mentioned_exists(page, name):
    assert resolves(name)


@pytest.mark.parametrize(("page", "module"), sorted(commands_of_modules()), ids=str)
def test_every_module_that_is_to_be_run_can_be_run(page, module):
    place = ROOT.joinpath(*module.split("."))
    assert place.with_suffix(".py").exists() or (place / "__main__.py").exists()


@pytest.mark.parametrize("wrong", ["kvcache/nowhere", "kvcache/nowhere.py", "nowhere.py"])
def test_a_file_that_is_not_there_would_be_found_out(wrong):
    assert PATH.findall(f"see `{wrong}`.") == [wrong]
    assert not exists(wrong)


@pytest.mark.parametrize("wrong", ["kvcache.nowhere", "kvcache.rows.nowhere", "awareness_sdk.Nobody", "tests.a.b.c"])
def test_a_name_that_is_not_there_would_be_found_out(wrong):
    assert DOTTED.findall(f"see `{wrong}(x)`.") == [wrong]
    assert not resolves(wrong)


def test_the_enumerations_find_something():
    assert (Path("docs/configuration.md"), "latentmas/settings.py") in paths()
    assert (Path("docs/measured.md"), "tests/marketplace") in paths()
    assert (Path("README.md"), "awareness_sdk.AwarenessClient") in set(dotted_names())
    assert (Path("docs/exchange.md"), "awareness_sdk.first_layer.first_layers_of") in set(dotted_names())
    assert (Path("README.md"), "benchmarks.rereading") in commands_of_modules()
    assert {"DATABASE_URL", "MAX_FILE_BYTES"} <= settings()
    assert {"load_registry", "verify_log"} <= commands()
    assert "listing.created" in set(event_names())
    assert {"W_MATRIX_NOT_FOUND", "VERSION_YANKED", "RANGE_NOT_SATISFIABLE"} <= set(codes())
    assert "/api/w-matrices/{listing_id}/versions/{version}/file" in set(addresses(get_resolver().url_patterns))


def test_every_link_between_the_documents_leads_somewhere():
    for path in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([\w./-]+\.md)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
