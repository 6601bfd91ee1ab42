"""Verify proofs, signed notes and envelopes.

Shares no code with what writes them: a mistake in common would not be found.
"""
