"""Calibration packs: captured here or contributed, opened, checked and paired."""
