"""One encoder and one decoder a model, which serve every ordered pair of the models joined."""
