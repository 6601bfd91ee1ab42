"""The Django app that serves the engine: REST API, published codec profiles, recorded runs."""

from latentmas.extras import MissingExtra, absent

if absent("server"):
    raise MissingExtra("server", __name__)
