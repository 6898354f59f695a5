"""Learn a vocabulary, either with SentencePiece or by counting symbols or grapheme clusters."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator

import sentencepiece

from seq2seq.config.tokenizer_section import Normalization, TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.text.case_marks import MARKS
from seq2seq.text.normalization import UNICODE_FORMS
from seq2seq.text.segmentation import ListedUnits, Segmentation
from seq2seq.text.units import SPACE
from seq2seq.text.vocabulary_file import SPECIAL_TOKENS, write_vocabulary

LONGEST_LINE = 1 << 16  # in bytes; longer lines are not used to learn a vocabulary
_THREADS = 4  # fixed, because the pieces of a unigram model depend on it


def learn_model(
    lines: Iterator[str], config: TokenizerConfig, rule: Normalization, name: str
) -> bytes:
    """Learn a SentencePiece model from lines of text. Return the serialised model.

    lines: The lines. They are already in NFC or NFD if that is the normalisation of the text.
    rule: The normalisation that becomes part of the model.
    name: Describes the lines in error messages.
    Raises UserError if the text is too small for the size of the vocabulary, or cannot be learned
    from. If reading the next line raises an error, this error is raised.
    """
    failure: list[BaseException] = []

    def guarded() -> Iterator[str]:
        try:
            yield from lines
        except (Exception, KeyboardInterrupt) as error:
            # SentencePiece would ignore the error and fail later. Without any text it would even
            # abort the process. Give it one letter, so that it finishes, then raise the error.
            failure.append(error)
            yield "a"

    try:
        model = _learn(guarded(), config, rule)
    except (RuntimeError, OSError) as error:
        if not failure:
            raise UserError(_explain_failure(str(error), config, name)) from None
    if failure:
        raise failure[0]
    return model


def _learn(lines: Iterator[str], config: TokenizerConfig, rule: Normalization) -> bytes:
    symbols, marked = config.symbols, config.case == "marked"
    if config.kind == "word":
        symbols = [SPACE + symbol for symbol in symbols]  # a symbol is a word of its own
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=lines,
        model_writer=written,
        model_type=config.kind,
        vocab_size=config.vocabulary,
        hard_vocab_limit=config.has_subwords,
        character_coverage=config.coverage,
        byte_fallback=config.byte_fallback and config.has_subwords,
        normalization_rule_name="nmt_nfkc" if rule == "nmt_nfkc" else "identity",
        remove_extra_whitespaces=rule in ("nmt_nfkc", "whitespace"),
        allow_whitespace_only_pieces=rule in ("identity", *UNICODE_FORMS),
        add_dummy_prefix=not marked,
        user_defined_symbols=[*symbols, *(MARKS if marked else ())],
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        num_threads=_THREADS,
        max_sentence_length=LONGEST_LINE,
        minloglevel=2,
    )
    return written.getvalue()


def list_units(
    lines: Iterator[str], config: TokenizerConfig, segmentation: Segmentation, name: str
) -> bytes:
    """Return a model that lists the most frequent symbols or grapheme clusters of a text.

    lines: The lines of the text, already normalised.
    name: Describes the lines in error messages.
    Raises UserError if there are no symbols or grapheme clusters, or if the vocabulary has no room
    for them.
    """
    splitter = ListedUnits([], config.symbols, segmentation)
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(splitter.split(line))
    for reserved in (*SPECIAL_TOKENS, *config.symbols):
        counts.pop(reserved, None)
    if not counts:
        raise UserError(f"{name} is empty; give at least one line to learn a vocabulary")
    room = config.vocabulary - len(SPECIAL_TOKENS) - len(config.symbols)
    if room < 1:
        raise UserError(
            f"tokenizer.vocabulary = {config.vocabulary} has no room for tokens besides the "
            f"special tokens and the {len(config.symbols)} strings in tokenizer.symbols; set a "
            "larger value"
        )
    wanted, covered, units = config.coverage * counts.total(), 0, []
    for unit, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:room]:
        if covered >= wanted:
            break
        units.append(unit)
        covered += count
    return write_vocabulary(units, config.symbols, segmentation)


def _explain_failure(message: str, config: TokenizerConfig, name: str) -> str:
    """Return a message that explains an error of SentencePiece and how to avoid the error.

    message: The error message of SentencePiece.
    name: Describes the text that the vocabulary is learned from.
    """
    if "sentences_.empty()" in message:
        return (
            f"{name}: every line is longer than {LONGEST_LINE:,} bytes; split the lines into "
            "shorter ones"
        )
    start = f"tokenizer.vocabulary = {config.vocabulary} does not fit {name}: "
    if match := re.search(r"<= (\d+)", message):
        return start + f"at most {match[1]} is possible with kind {config.kind!r}"
    if match := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        with_bytes = config.byte_fallback and config.has_subwords
        return start + (
            f"its characters{', 256 bytes' * with_bytes} and the special tokens alone need "
            f"{match[1]}; set a larger value, or reduce tokenizer.character_coverage"
            f"{', or set tokenizer.byte_fallback = false' * with_bytes}"
        )
    return start + message.strip().splitlines()[-1]
