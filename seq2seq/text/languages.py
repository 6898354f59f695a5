"""What a language's code says of its writing."""

from __future__ import annotations

import re

# Written without spaces between words: sacrebleu's own tokens for Chinese, characters for the rest.
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
    """The code of ISO 639 in the name of a side of a corpus, without script and region; None for a
    name that is not a language.

    Three letters count only with a script (`deu_Latn`), or for an unspaced language above: many
    words that name a column (`tag`) are such a code as well.
    """
    if match := _WITH_SCRIPT.fullmatch(name):
        return match[1]
    code = re.split("[-_]", name.lower())[0]
    return code if code in _TWO_LETTERS or code in _UNSPACED else None


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
