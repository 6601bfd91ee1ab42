"""Compress a snapshot to a `.kvz` file that reaches a target, decompress it, and judge its quality."""
