"""Models that are run here: where their weights come from, and the sentence encoders among them. Free of Django."""
