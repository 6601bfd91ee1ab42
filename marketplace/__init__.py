from latentmas.extras import MissingExtra, absent

if absent("server"):
    raise MissingExtra("server", __name__)
