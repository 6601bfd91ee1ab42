"""Calibration packs, one model's rows over a corpus: captured here or uploaded, checked, opened and paired."""
