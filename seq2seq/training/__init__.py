"""One training loop for every shape, and what it needs."""
