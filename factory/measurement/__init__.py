"""Figures of a W-Matrix: what the target makes of its memories, and how well rows are predicted."""
