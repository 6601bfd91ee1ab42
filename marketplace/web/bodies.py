"""Bodies of forms with files, refused by their declared length before anything of them is read."""

from django.http import HttpRequest


def too_large(request: HttpRequest, limit: int) -> str:
    """Return why a body of more than `limit` bytes is refused, or an empty text.

    The view must be exempt from the check of the form's token until then: that reads the whole body.
    """
    came = _length(request)
    return f"The file is too large: the form has {came} bytes, the limit is {limit}." if came > limit else ""


def _length(request: HttpRequest) -> int:
    """Return the declared length of the body; Django reads none where it is no number."""
    declared = str(request.META.get("CONTENT_LENGTH") or "0")
    return int(declared) if declared.isascii() and declared.isdigit() else 0
