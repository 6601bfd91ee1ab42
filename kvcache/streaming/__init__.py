"""A cache sent in chunks while it grows."""
