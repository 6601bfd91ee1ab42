"""Attention of queries over a cache: a model's rules, the mass that each token receives, and the output."""
