"""A witness of transparency logs, which anyone can run: `python -m awareness_sdk.witness --help`."""
