"""Search, and the translator that every translation goes through."""
