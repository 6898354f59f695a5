"""The HTTP server: LibreTranslate's interface, seq2seq's own interface, and a web page."""
