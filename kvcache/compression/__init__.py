"""From a snapshot to a `.kvz` file that reaches a target, and back."""
