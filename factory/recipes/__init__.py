"""Recipes: one module for each way to make a W-Matrix; `assembly` and `results` hold what they share."""
