"""The tokenizer of BLEU follows the script of the references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text import scripts
from seq2seq.text.scripts import choose_bleu_tokenizer


@pytest.mark.parametrize(
    ("lines", "language", "name"),
    [
        (["The cat sat."], "en", "13a"),
        (["The cat sat."], "ja", "13a"),  # the text counts, not the name
        (["Кот сидит."], "cy", "13a"),
        (["我喜欢在公园里看书"], "tgt", "zh"),
        (["他在 GitHub 上发布了 PyTorch 项目"], "en", "zh"),
        (["我喜欢在公园里看书"], "ja", "char"),
        (["私は公園で本を読みます"], "text", "char"),
        (["東京都"], "text", "zh"),
        (["ฉันชอบอ่านหนังสือ"], "x", "char"),
        (["나는 책을 읽는다"], "x", "13a"),
        (["The word 猫 means cat."], "zh", "13a"),
        (["1 2 3", ""], "zh", "zh"),
        ([], "de", "13a"),
    ],
)
def test_the_script_decides(lines, language, name, monkeypatch):
    monkeypatch.setattr(scripts, "_installed", lambda *_: False)
    assert choose_bleu_tokenizer(lines, language).name == name
    assert choose_bleu_tokenizer(lines, language, "none").name == "none"


def test_the_tokenizers_of_mecab_are_taken_if_installed(monkeypatch):
    monkeypatch.setattr(scripts, "_installed", lambda *_: True)
    assert choose_bleu_tokenizer(["私は本を読みます"], "").name == "ja-mecab"
    assert choose_bleu_tokenizer(["나는 책을 읽는다"], "").name == "ko-mecab"


def test_a_text_that_is_cut_into_words_is_named():
    cut = choose_bleu_tokenizer(["私 は 公園 で 本 を 読み ます"], "ja")
    assert 'seem to be split into words already; the tokenizer "none" scores' in cut.reason
    assert "split" not in choose_bleu_tokenizer(["私は公園で本を読みます"], "ja").reason


@given(st.lists(st.text(), max_size=5), st.text(max_size=5))
def test_every_text_has_a_tokenizer(lines, language):
    assert choose_bleu_tokenizer(lines, language).name in {
        "13a", "zh", "char", "ja-mecab", "ko-mecab",
    }  # fmt: skip
