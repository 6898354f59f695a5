"""The schema of a configuration, and functions that read and write configurations as TOML."""
