"""Recognise language codes, and tell whether a language has spaces between its words."""

from __future__ import annotations

import re

# Languages that are written without spaces between words, and their BLEU tokenizer in sacrebleu.
# sacrebleu has a tokenizer for Chinese. The other languages are scored by character.
_UNSPACED = {
    **dict.fromkeys(("zh", "zho", "cmn", "yue"), "zh"),
    **dict.fromkeys(("ja", "jpn", "th", "tha", "lo", "lao", "km", "khm", "my", "mya"), "char"),
}

_ISO_639_1 = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da
de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz
ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln
lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi
pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti
tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_TWO_LETTERS = frozenset(_ISO_639_1.split())
_WITH_SCRIPT = re.compile("([a-z]{3})[-_][A-Z][a-z]{3}")  # zho_Hans


def language_code(name: str) -> str | None:
    """Return the ISO 639 language code in the name of the source or target column, or None.

    For example, the code in `de_DE` is `de`, and the code in `deu_Latn` is `deu`. A three-letter
    code is accepted only with a script, or if the language is written without spaces. Other
    three-letter names, such as `tag`, are more likely to be column names.
    """
    if match := _WITH_SCRIPT.fullmatch(name):
        return match[1]
    code = re.split("[-_]", name.lower())[0]
    return code if code in _TWO_LETTERS or code in _UNSPACED else None


def bleu_tokenizer(language: str) -> str:
    """Return the name of the sacrebleu tokenizer that computes BLEU for a language.

    The name is "zh" or "char" for a language that is written without spaces between words. For such
    a language, the tokenizer "13a" would treat a whole sentence as one token. The name is "13a" for
    all other languages.

    language: An ISO 639 code, with or without a script or a region ("zh", "zho_Hans", "zh-CN"). For
        any other text, the result is "13a".
    """
    return _UNSPACED.get(re.split("[-_]", language.lower())[0], "13a")


def uses_spaces(language: str) -> bool:
    """Return whether a language is written with spaces between its words.

    language: An ISO 639 code, with or without a script or a region.
    """
    return bleu_tokenizer(language) == "13a"
