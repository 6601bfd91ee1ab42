"""Train a W-Matrix end to end: its map's own numbers, by the target's next words, on a device that is fast enough.

The refinement (`factory.refinement`) learns some scales on a processor in minutes. Here every number of the map learns,
from a hundred thousand stretches of text and more, which takes a GPU minutes and a processor weeks.
"""
