"""The training loop that all tasks share, and the modules that the loop uses."""
