"""The Django app over the engine: addresses, codec profiles and runs on record."""
