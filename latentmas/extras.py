"""Which extra of the package brings what is missing here. The bare client needs none of them."""

import importlib.util

# The packages by whose absence an extra is told to be missing; pyproject.toml has all that it brings.
PACKAGES = {
    "engine": ("constriction", "jax", "jaxtyping"),
    "models": ("accelerate", "gguf", "torch", "transformers"),
    "paying": ("eth_account", "x402"),
    "payments": ("stripe", "x402"),
    "redis": ("redis",),
    "s3": ("boto3",),
    "server": ("celery", "django", "prometheus_client", "rest_framework"),
    "verify": ("cryptography",),
}
# In the words of whoever asked for it.
PURPOSES = {
    "engine": "the engine",
    "models": "what runs models",
    "paying": "signatures of x402",
    "payments": "payment gateways",
    "redis": "a shared cache",
    "s3": "files in S3",
    "server": "the server",
    "verify": "Ed25519 signatures",
}


class MissingExtra(ImportError):
    """A part of the product is used without the packages that it needs; the message has the command that helps."""

    def __init__(self, extra: str, part: str) -> None:
        super().__init__(
            f"{part} needs {PURPOSES[extra]}: {install_command(extra)} ({', '.join(absent(extra))} not installed)"
        )


def absent(extra: str) -> list[str]:
    """Return the packages of an extra that are not installed. Nothing is imported."""
    return [name for name in PACKAGES[extra] if not _is_installed(name)]


def install_command(extra: str) -> str:
    return f"pip install 'latentmas[{extra}]'"


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # it is being imported right now, or a test has put None in its place
        return False
