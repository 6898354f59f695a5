"""The schema of a configuration, and functions that read and write TOML configurations."""
