"""Split the prompt of a language model into lines, and encode it."""

from __future__ import annotations

from seq2seq.decoding.results import log_unknown_tokens
from seq2seq.text.tokenizer import Tokenizer


def prompt_lines(prompt: str) -> list[str]:
    r"""Return the lines of a prompt. A line ends before `\n` or `\r\n`, as in files."""
    return [line.removesuffix("\r") for line in prompt.split("\n")]


def encode_prompt(
    prompt: str, tokenizer: Tokenizer, *, line_ends: bool
) -> tuple[list[int], list[int]]:
    """Return the token ids of a prompt, and the token ids of its last line.

    line_ends: whether EOS stands for each line end.

    Unknown tokens are logged as warnings.
    """
    lines = prompt_lines(prompt)
    encoded = tokenizer.encode(lines)
    log_unknown_tokens(lines, encoded, tokenizer, "prompt, line")
    end = [tokenizer.eos] if line_ends else []
    *before, last = encoded
    return [*(i for ids in before for i in (*ids, *end)), *last], last
