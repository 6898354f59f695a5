"""What a language's code says of its writing."""

from __future__ import annotations

import re

# Written without spaces between words: sacrebleu's own tokens for Chinese, characters for the rest.
_UNSPACED = {
    **dict.fromkeys(("zh", "zho", "cmn", "yue"), "zh"),
    **dict.fromkeys(("ja", "jpn", "th", "tha", "lo", "lao", "km", "khm", "my", "mya"), "char"),
}


def bleu_tokenizer(language: str) -> str:
    """What sacrebleu is to part a language into for BLEU: "13a", or where no spaces part its words,
    of which 13a would make one token a sentence, "zh" or "char".

    ``language``: a code of ISO 639, with or without a script or a region ("zh", "zho_Hans",
    "zh-CN"); "13a" for what is none.
    """
    return _UNSPACED.get(re.split("[-_]", language.lower())[0], "13a")


def uses_spaces(language: str) -> bool:
    """Whether spaces part the words of a language; ``language`` as for `bleu_tokenizer`."""
    return bleu_tokenizer(language) == "13a"
