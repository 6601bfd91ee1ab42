"""The certifier: measures files that others have made, on public and private texts, and answers with commands."""
