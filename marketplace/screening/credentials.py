"""Secrets in a text: keys, tokens and passwords whose form leaves little doubt. No entropy is guessed at."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from marketplace.accounts.secrets import TOKEN


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen where in a text; never the value."""

    what: str
    at: int  # characters before it


PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (what, re.compile(pattern, re.ASCII))
    for what, pattern in (
        ("a private key", r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
        ("an API token of this marketplace", rf"\b{TOKEN.pattern}"),
        ("an AWS access key", r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
        ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b"),
        ("a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
        ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{34}\b"),
        ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("an OpenAI key", r"\bsk-(?:[a-z]+-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}"),
        ("an Anthropic key", r"\bsk-ant-[a-z0-9]+-[A-Za-z0-9_-]{80,}"),
        ("a PyPI token", r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
        ("a SendGrid key", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
        ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("a Stripe key", r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}"),
        ("an address with a password", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/@]{1,100}@[A-Za-z0-9.\[-]"),
    )
)
SIGNED_TOKEN = re.compile(r"\b(eyJ[A-Za-z0-9_-]{8,})\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}", re.ASCII)


def secrets_in(text: str) -> Iterator[Sighting]:
    """Yield the secrets that a text seems to hold."""
    for what, pattern in PATTERNS:
        yield from (Sighting(what, found.start()) for found in pattern.finditer(text))
    for found in SIGNED_TOKEN.finditer(text):
        if _is_header(found[1]):
            yield Sighting("a signed token (JWT)", found.start())


def _is_header(encoded: str) -> bool:
    """Return whether this is the base64 of a JSON object that names an algorithm."""
    try:
        header = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(header, dict) and "alg" in header
