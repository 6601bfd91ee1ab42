"""The ways to make a W-Matrix, one a module; what they share stands in `assembly` and `results`."""
