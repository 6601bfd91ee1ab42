"""The Django app that serves the engine: REST API, published codec profiles, recorded runs."""
