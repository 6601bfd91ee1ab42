"""Compress a cache in chunks, as a stream of messages, while the model still extends it."""
