"""The HTTP server: LibreTranslate's interface, an interface of its own, and a page."""
