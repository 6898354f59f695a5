"""Actions of a transducer: EM, and the series of actions that write a target."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.errors import UserError
from seq2seq.text import lattice
from seq2seq.text.actions import ActionModel

MOVE, END, EOS = 1, 2, 0
IDS = {"unk": (1, 3), "eos": (EOS, END), "move": MOVE}
WORDS = st.text(st.characters(codec="utf-8"), max_size=7)


def model(same: list[int], size: int, features: int = 0) -> ActionModel:
    """The ids 0 of the source and 2 of the target are EOS, and 3 is <unk> of the target."""
    return ActionModel.start(np.array(same), size, features, **IDS)


def encoded(pairs: list[tuple[str, str]]) -> tuple[ActionModel, list[tuple[np.ndarray, list[int]]]]:
    """A model of the letters of pairs, before EM, and the ids of the pairs."""
    left, right = (sorted({c for pair in pairs for c in pair[side]}) for side in (0, 1))
    same = [END, 3, *(4 + right.index(c) if c in right else 99999 for c in left)]
    ids = [
        (np.array([2 + left.index(c) for c in x], np.int64), [4 + right.index(c) for c in y])
        for x, y in pairs
    ]
    return model(same, 4 + len(right)), ids


def runs(path: list[int], length: int, V: int) -> list[list[int]]:
    """What a series of actions writes at each position of a source of this length and at its end.

    Fails for an impossible action.
    """
    at, written = 0, [[] for _ in range(length + 1)]
    for action in path:
        if action != MOVE:
            written[at].append(action % V)
        assert at < length or (action < V and action != MOVE)
        at += at < length and action < V
    assert at == length
    return written


def likelihood(made: ActionModel, source: np.ndarray, target: list[int]) -> float:
    """The sum over all series of actions, one by one."""
    S, total = len(source), 0.0
    for moves in itertools.combinations(range(S + len(target)), S):
        at, rest, p, later = 0, iter(target), 1.0, 0
        for step in range(S + len(target)):
            letter, moved = source[at] if at < S else EOS, step in moves
            p *= made.table[letter, MOVE if moved else next(rest), later]
            at, later = at + moved, int(not moved)
        total += p * made.table[EOS, END, later]
    return total


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_actions_write_their_targets_and_em_never_loses(pairs: list[tuple[str, str]]) -> None:
    made, ids = encoded(pairs)
    known = [made.pair(*pair) for pair in ids]
    before = -np.inf
    for _ in range(4):
        following, after = made.improve(known)
        assert after >= before - 1e-9 * abs(after)
        sums = following.table.sum(axis=1)
        assert sums == pytest.approx(np.ones_like(sums))
        made, before = following, after
    sources, targets = zip(*ids, strict=True)
    for (x, _), target, path in zip(pairs, targets, made.write(sources, targets), strict=True):
        written = [i for run in runs(path, len(x), made.table.shape[1]) for i in run]
        assert written == target == made.written(path)
    read = ActionModel.from_bytes(made.to_bytes(), "x", made.table.shape[:2], **IDS)
    assert read.write(sources, targets) == made.write(sources, targets)


def test_the_likelihood_is_a_sum_over_all_series() -> None:
    draw = random.Random(1)
    pairs = [("".join(draw.choices("abc", k=draw.randint(0, 4))), "abd"[: i % 4]) for i in range(9)]
    made, ids = encoded(pairs)
    known = [made.pair(*pair) for pair in ids]
    made, _ = made.improve(known)
    total = sum(np.log(likelihood(made, *pair)) for pair in known)
    assert made.improve(known)[1] == pytest.approx(total)
    assert sum(made.improve([pair])[1] for pair in known) == pytest.approx(total)


def test_chunks_give_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(2)
    words = ["".join(draw.choices("abcdx", k=draw.randint(1, 9))) for _ in range(40)]
    pairs = [(word, word.replace("x", "ks").replace("b", "")) for word in words]
    made, ids = encoded(pairs)
    sources, targets = zip(*ids, strict=True)
    found = []
    for size in (1 << 22, 100):
        monkeypatch.setattr(lattice, "_NUMBERS", size)
        fitted = made.fit([made.pair(*pair) for pair in ids])
        found.append((fitted.write(sources, targets), pytest.approx(fitted.table)))
    assert found[0][0] == found[1][0]
    assert found[0][1].expected == found[1][1]
    for word, path in zip(words, found[0][0], strict=True):
        *found, rest = [["acdks"[i - 4] for i in run] for run in runs(path, len(word), 9)]
        expected = [list({"x": "ks", "b": ""}.get(letter, letter)) for letter in word]
        found[-1] += rest  # of the last letter, only the first symbol moves the pointer
        assert found == expected


def test_nothing_is_written_at_a_feature_and_unknown_tokens_are_alike() -> None:
    made = model([END, 3, 4, 5], 6, features=2)  # the ids 4 and 5 are features
    assert made.write([np.array([5, 4, 2, 3])], [[4, 5]])[0] == [MOVE, MOVE, 4, 5]
    # The target id V + 1 stands for source token 1, which can be copied only there.
    assert made.write([np.array([2, 9, 3])], [[4, 7, 5]])[0] == [4, 13, 5]
    assert made.write([np.array([9, 8])], [[7, 6]])[0] == [3, 3]
    both = made.pair(np.array([[2, 7], [9, 0]]), [8])  # with features of each word
    assert [side.tolist() for side in both] == [[2, 1], [3]]


def damaged(**changes: object) -> bytes:
    return json.dumps({**json.loads(model([END, 3], 6).to_bytes()), **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"a": [' + b"[]," * 9_000_000 + b"[]]}",
        b'{"sizes": [2, 6]}',
        damaged(sizes=[2, 7]),
        damaged(move=1e999),
        damaged(move=-1),
        damaged(eos=[1 << 70, END]),
        damaged(unk=[1, 1 << 31]),
        damaged(table=[{"0": [np.nan, 1]}, {}]),
        damaged(table=[{"0": [-1, 1]}, {}]),
        damaged(table=[{"0": [10**400, 1]}, {}]),
        damaged(table=[{"6": [0, 1]}, {}]),
    ],
    ids=range(14),
)
def test_a_damaged_file_is_one_clear_line(content: bytes) -> None:
    ActionModel.from_bytes(damaged(), "f", (2, 6), **IDS)
    with pytest.raises(UserError, match=r"^f: the file is damaged; copy the model folder again$"):
        ActionModel.from_bytes(content, "f", (2, 6), **IDS)
