"""A hub of several models: one latent space, with an encoder and a decoder per model that serve every ordered pair."""
