"""Quality figures of a W-Matrix: retention in the running target, retrieval, and fidelity of the predicted rows."""
