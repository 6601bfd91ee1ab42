"""Whatever a user can set, run, call or meet as an error must be written down: enumerated here from the code."""

import ast
import re
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from latentmas.documents import error_codes

ROOT = Path(__file__).parent.parent
PACKAGES = ("latentmas", "kvcache", "marketplace", "factory")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
DOCS = "\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
SETTING = re.compile(r'(?:env\.\w+|os\.environ\.\w+)\(\s*"([A-Z_]+)"')
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")


def settings():
    return {*SETTING.findall((ROOT / "latentmas/settings.py").read_text()), "SECRET_KEY_FILE", "DATABASE_URL"}


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


@pytest.mark.parametrize("code", sorted(set(codes()) - {"ERROR"}))
def test_every_error_code_is_documented_with_its_status(code):
    assert re.search(rf"^\| `{code}` \| \d{{3}} \| .+ \|$", DOCS, re.MULTILINE)


@pytest.mark.parametrize("address", sorted(addresses(get_resolver().url_patterns)))
def test_every_address_is_documented(address):
    assert re.search(rf"`(?:GET |POST )?{re.escape(address)}`", DOCS)


@pytest.mark.parametrize("each", error_codes(), ids=lambda each: each.code)
def test_the_documented_status_is_the_one_that_is_sent(each):
    assert f"| `{each.code}` | {each.status} |" in DOCS


def test_the_enumerations_find_something():
    assert {"DATABASE_URL", "MAX_FILE_BYTES"} <= settings()
    assert {"load_registry", "verify_log"} <= commands()
    assert "listing.created" in set(event_names())
    assert {"W_MATRIX_NOT_FOUND", "VERSION_YANKED", "RANGE_NOT_SATISFIABLE"} <= set(codes())
    assert "/api/w-matrices/{listing_id}/versions/{version}/file" in set(addresses(get_resolver().url_patterns))


def test_every_link_between_the_documents_leads_somewhere():
    for path in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([\w./-]+\.md)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
