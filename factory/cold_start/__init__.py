"""The cold start (specification 3), which fills an empty marketplace: plan pairs, make W-Matrices, report results."""
