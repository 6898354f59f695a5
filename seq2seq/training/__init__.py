"""The training loop that all tasks share, and the modules it uses."""
