"""The configuration: its schema, and how it is read from TOML and written to it."""
