from latentmas.extras import MissingExtra, absent

if absent("engine"):
    raise MissingExtra("engine", __name__)
