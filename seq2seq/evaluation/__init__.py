"""Evaluate models: scores, scores by sentence length, plots, and records of results."""
