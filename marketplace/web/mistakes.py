"""What is wrong with the filters in an address, as one sentence for the page."""

from rest_framework.exceptions import ValidationError

from latentmas.protocol.errors import LatentMASError


def mistake_in(error: ValidationError | LatentMASError) -> str:
    """Return why filters were refused, each with its name."""
    if isinstance(error, LatentMASError):
        return error.message
    return "; ".join(f"{name}: {' '.join(map(str, why))}" for name, why in _details(error))


def _details(error: ValidationError) -> list[tuple[str, list[object]]]:
    detail = error.detail
    named = detail if isinstance(detail, dict) else {"": detail}
    return [(name, list(why) if isinstance(why, list) else [why]) for name, why in named.items()]
