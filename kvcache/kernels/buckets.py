"""Padded sizes: a kernel is compiled for few shapes instead of for every length."""

SMALLEST = 64


def bucket(tokens: int) -> int:
    """Return the power of two that `tokens` rows are padded to, at least 64."""
    return max(SMALLEST, 1 << (tokens - 1).bit_length())
