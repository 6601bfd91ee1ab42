"""Attention over a cache: what queries see, which tokens they need, what they read."""
