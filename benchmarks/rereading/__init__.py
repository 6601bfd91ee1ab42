"""What reading a few tokens in place restores of a handed-over memory, and what it costs."""
