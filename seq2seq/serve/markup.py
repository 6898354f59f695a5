"""HTML: the text of blocks, to translate, and everything else, which stays."""

from __future__ import annotations

from seq2seq.serve.layout import TextLayout


class Markup(TextLayout):
    """HTML (not yet)."""
