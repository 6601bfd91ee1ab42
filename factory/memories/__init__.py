"""Memories on sale, measured by running the model that made them."""
