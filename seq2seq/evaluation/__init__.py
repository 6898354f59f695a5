"""How good is it: scores, scores by length, pictures, and rows of results."""
