"""The registers of the evaluation suite: kinds of text, each from sources that `make setup` puts on every machine."""

import functools as ft
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from factory.corpora import packages, samples, shipped
from factory.corpora.documents import Document, Origin, digest_of
from factory.corpora.duplicates import recorded_groups
from latentmas.protocol.errors import InvalidInput

CODE_PACKAGES = (
    *("django", "rest_framework", "drf_spectacular", "django_filters", "whitenoise", "gunicorn", "prometheus_client"),
    *("rich", "gensim", "huggingface_hub", "fsspec", "httpx", "httpcore", "anyio", "asgiref", "jinja2", "click"),
    *("typer", "tqdm", "smart_open", "filelock", "packaging", "mpmath", "requests", "urllib3", "markdown_it"),
    *("sqlparse", "attr", "jsonschema", "opt_einsum", "pydantic"),
)
# Apart from those of `code`: the same docstring must not stand in two registers.
REFERENCE_PACKAGES = (
    *("numpy", "scipy", "networkx", "torch/nn", "torch/optim", "torch/distributions", "torch/utils/data"),
    *("sympy/physics", "sympy/solvers", "sympy/combinatorics", "sympy/geometry"),
)
DISTRIBUTIONS = (
    *("annotated-doc", "annotated-types", "anyio", "asgiref", "ast-serialize", "attrs", "certifi"),
    *("charset-normalizer", "click", "constriction", "dj-database-url", "django", "django-filter", "django-stubs"),
    *("django-stubs-ext", "djangorestframework", "djangorestframework-stubs", "drf-spectacular", "filelock", "fsspec"),
    *("gensim", "gguf", "grimp", "gunicorn", "h11", "hf-xet", "httpcore", "httpcore2", "httpx", "httpx2"),
    *("huggingface-hub", "hypothesis", "idna", "import-linter", "inflection", "iniconfig", "jax", "jaxlib"),
    *("jaxtyping", "jinja2", "jsonschema", "jsonschema-specifications", "librt", "markdown-it-py", "markupsafe"),
    *("mdurl", "ml-dtypes", "mpmath", "msgspec", "mypy", "mypy-extensions", "networkx", "numpy", "opt-einsum"),
    *("packaging", "pathspec", "pluggy", "prometheus-client", "psutil", "psycopg", "pydantic", "pydantic-core"),
    *("pygments", "pytest", "pytest-django", "pyyaml", "referencing", "regex", "requests", "rich", "rpds-py", "ruff"),
    *("safetensors", "scipy", "shellingham", "smart-open", "sortedcontainers", "sqlparse", "sympy", "tokenizers"),
    *("torch", "tqdm", "transformers", "truststore", "typer", "types-pyyaml", "typing-extensions"),
    *("typing-inspection", "uritemplate", "urllib3", "wadler-lindig", "whitenoise", "wrapt", "zstandard"),
)
HEADER_FOLDERS = ("torch/include/c10", "torch/include/torch/csrc")
CLOSING = "See also|Notes|References|Footnotes|Bibliography|Further reading|External links"
CLOSING_LISTS = re.compile(rf"^({CLOSING})\s*$", re.MULTILINE)
BUNDLING = frozenset({"torch"})  # whose licence files depend on the build


@dataclass(frozen=True, slots=True)
class Register:
    """A kind of text. Only natural registers count in a mean."""

    name: str
    source: str
    read: Callable[[], Iterator[Origin]]
    density: float  # characters a token, about: of the tokenizers of SmolLM2 and Gemma-3
    natural: bool = True


def _news() -> Iterator[Origin]:
    items = itertools.chain(samples.news_items(), samples.more_news_items())
    return (Origin(f"Lee, item {number}", text) for number, text in enumerate(items))


def _encyclopaedia() -> Iterator[Origin]:
    """Yield the articles without the lists of notes, books and links that they end with."""
    for number, text in enumerate(samples.articles()):
        yield Origin(f"article {number}", CLOSING_LISTS.split(text, maxsplit=1)[0], digest_of(text.strip()))


def _licences() -> Iterator[Origin]:
    return packages.licences([name for name in DISTRIBUTIONS if name not in BUNDLING])


REGISTERS = {
    each.name: each
    for each in (
        Register("news", "the Lee corpus in gensim", _news, 4.8),
        Register("encyclopaedia", "the Wikipedia sample in gensim", _encyclopaedia, 4.5),
        Register("speeches", shipped.SPEECHES_FILE, shipped.speeches, 4.9),
        Register("code", "the source of packages", ft.partial(packages.modules, CODE_PACKAGES), 3.6),
        Register("reference", "docstrings of packages", ft.partial(packages.docstrings, REFERENCE_PACKAGES), 3.3),
        Register("headers", "C++ headers of torch", ft.partial(packages.headers, HEADER_FOLDERS), 3.2),
        Register("readmes", "descriptions of packages", ft.partial(packages.descriptions, DISTRIBUTIONS), 3.4),
        Register("licences", "licences of packages", _licences, 4.7),
        Register("sampled", shipped.SAMPLED_FILE, shipped.sampled, 4.5, natural=False),
    )
}
NATURAL = tuple(each.name for each in REGISTERS.values() if each.natural)


@ft.cache
def origins_of(name: str) -> tuple[Origin, ...]:
    """Return the distinct texts of a register in the order of their sources, stripped, and where each was found.

    Raises InvalidInput for an unknown register and where a source is not installed.
    """
    if name not in REGISTERS:
        raise InvalidInput(f"there is no register {name!r}; there are {', '.join(REGISTERS)}", field="register")
    distinct: dict[str, Origin] = {}
    for each in REGISTERS[name].read():
        if text := each.text.strip():
            distinct.setdefault(text, replace(each, text=text, whole=each.whole or digest_of(text)))
    return tuple(distinct.values())


def texts_of(name: str) -> tuple[str, ...]:
    """Return the texts of `origins_of`."""
    return tuple(each.text for each in origins_of(name))


@ft.cache
def documents_of(name: str) -> tuple[Document, ...]:
    """Return a register's texts as documents with their groups, in the order of their digests."""
    groups = recorded_groups()
    found = (Document(each.text, digest_of(each.text), groups.get(each.whole, each.whole)) for each in origins_of(name))
    return tuple(sorted(found, key=lambda document: document.digest))
