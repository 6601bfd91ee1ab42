"""Listings over REST: what a request may say, what an answer shows, and the views between them."""
