"""From raw lines to batches of numbers, and back."""
