"""Many ranks do what one does: real processes, over loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch

from seq2seq.training.distributed import Ranks

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch was built without"
)

# `seq2seq train`, in float64 and without a picture.
_TRAIN = """
import sys
from unittest import mock

import torch

from seq2seq import cli

torch.set_default_dtype(torch.float64)
with mock.patch("seq2seq.training.trainer.plot_curves"):
    cli.main()
"""
_SETTINGS = (
    "training.updates=50",
    "training.log_every=10",
    "training.ema_decay=0.9",
    "validation.every=20",
    "validation.lines=7",
)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("script") / "train.py"
    path.write_text(_TRAIN)
    return path


def command(
    script: Path | None, toy, run: Path, *more: str, ranks: int = 1, join: str = ""
) -> list[str]:
    """script: None for the command as users have it; join: how hosts find each other, as options of
    torchrun; by default there is one."""
    start = [sys.executable]
    if ranks > 1 or join:
        how = join.split() or ["--standalone"]
        start += ["-m", "torch.distributed.run", *how, f"--nproc-per-node={ranks}"]
    settings = [f"--set={setting}" for setting in (*_SETTINGS, *more) if "=" in setting]
    flags = [flag for flag in more if flag.startswith("--")]
    program = ["-m", "seq2seq"] if script is None else [str(script)]
    return [*start, *program, "train", str(toy.path), "--out", str(run), *settings, *flags]


def ran(*arguments, **named) -> Path:
    done = subprocess.run(
        command(*arguments, **named), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return arguments[2]


def stopped_twice(script: Path, toy, run: Path, *, ranks: tuple[int, int, int]) -> Path:
    """50 updates, stopped after 17 and 34, each part by another number of ranks."""
    for updates, count in zip((17, 34, 50), ranks, strict=True):
        more = ["--resume"] if run.exists() else []
        ran(script, toy, run, f"training.updates={updates}", *more, ranks=count)
    return run


def left(run: Path) -> dict[str, torch.Tensor]:
    (checkpoint,) = (run / "checkpoints").glob("update-*")
    return safetensors.torch.load_file(checkpoint / "weights.safetensors")


def rows(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(script, toy, tmp_path_factory):
    """50 updates of one process."""
    return ran(script, toy, tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize("more", [(), ("training.accumulate=2", "training.batch_tokens=20")])
def test_two_ranks_make_the_updates_of_one(script, toy, tmp_path, whole, more):
    """Batches of 20 tokens hold one sentence now and then: a rank is without one."""
    alone = ran(script, toy, tmp_path / "alone", *more) if more else whole
    both = ran(script, toy, tmp_path / "both", *more, ranks=2)
    expected = left(alone)
    assert next(iter(expected.values())).dtype == torch.float64
    torch.testing.assert_close(left(both), expected, rtol=0, atol=1e-6)
    for one, other in zip(rows(alone), rows(both), strict=True):
        for key in one.keys() - {"minutes", "tokens_per_second"}:
            number = isinstance(one[key], float)
            assert other[key] == (pytest.approx(one[key], rel=1e-6) if number else one[key]), key
    assert sorted(p.name for p in both.iterdir()) == sorted(p.name for p in alone.iterdir())


def test_a_run_goes_on_with_another_number_of_ranks(script, toy, tmp_path, whole):
    run = stopped_twice(script, toy, tmp_path / "run", ranks=(1, 3, 2))
    torch.testing.assert_close(left(run), left(whole), rtol=0, atol=1e-6)


def test_a_language_models_ranks_share_its_streams(script, toy, tmp_path):
    """The state that each stream carries on, too, and after a stop over another number of ranks."""
    text = SimpleNamespace(path=toy.path.with_name("language.toml"))
    whole = ran(script, text, tmp_path / "whole")
    run = stopped_twice(script, text, tmp_path / "run", ranks=(2, 1, 3))
    torch.testing.assert_close(left(run), left(whole), rtol=0, atol=1e-6)


def test_the_same_number_of_ranks_ends_with_the_same_bits(script, toy, tmp_path):
    """Dropout too: each rank draws its own, the same after a stop."""
    more = ("encoder.dropout=0.2", "training.word_dropout=0.1")
    whole = ran(script, toy, tmp_path / "whole", *more, ranks=2)
    run = ran(script, toy, tmp_path / "run", "training.updates=23", *more, ranks=2)
    ran(script, toy, run, *more, "--resume", ranks=2)
    torch.testing.assert_close(left(run), left(whole), rtol=0, atol=0)


@pytest.fixture
def long_run(script, toy, tmp_path):
    """Two ranks that are training, and what they say."""
    log = tmp_path / "log"
    more = ("training.updates=1000000", "validation.every=10")
    with log.open("w") as file:
        process = subprocess.Popen(
            command(script, toy, tmp_path / "run", *more, ranks=2),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + 90
    while "validation at update" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield process, log
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def children(process: subprocess.Popen) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in found if b"train.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("which", [0, -1])
def test_a_rank_that_dies_ends_the_run(long_run, which, script, toy, tmp_path):
    process, log = long_run
    ranks = children(process)
    assert len(ranks) == 2
    os.kill(ranks[which], signal.SIGKILL)
    assert process.wait(timeout=60) != 0
    assert "has lost the connection to another rank" in log.read_text()
    assert "--resume" in log.read_text()
    ran(script, toy, tmp_path / "run", "training.updates=200", "--resume", ranks=2)


def test_a_signal_to_one_rank_stops_all_of_them_saved(long_run, tmp_path):
    process, log = long_run
    os.kill(children(process)[-1], signal.SIGTERM)
    process.wait(timeout=60)
    assert "the run is saved" in log.read_text()
    assert len(left(tmp_path / "run"))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def on_two_machines(script, toy, tmp_path, *clips: float) -> list[tuple[int, str]]:
    """Run one rank on each, with a folder and a training.clip of its own; gives the exit codes and
    what was said."""
    port = free_port()
    processes = [
        subprocess.Popen(
            command(
                script,
                toy,
                tmp_path / f"run{node}",
                f"training.clip={clip}",
                join=f"--nnodes=2 --node-rank={node} --master-addr=127.0.0.1 --master-port={port}",
            ),
            stderr=subprocess.PIPE,
            text=True,
        )
        for node, clip in enumerate(clips)
    ]
    said = [process.communicate(timeout=90)[1] for process in processes]
    return [(process.returncode, one) for process, one in zip(processes, said, strict=True)]


def test_ranks_with_different_configurations(script, toy, tmp_path):
    """Two machines, each with its own command."""
    ended = on_two_machines(script, toy, tmp_path, 0, 1)
    assert all(code != 0 for code, _ in ended)
    assert any("rank 1 has a different configuration than rank 0" in said for _, said in ended), (
        ended
    )


def test_two_machines_each_with_a_folder_of_its_own(script, toy, tmp_path, whole):
    """Nothing is shared but the connection; the first one writes."""
    ended = on_two_machines(script, toy, tmp_path, 1, 1)
    assert all(code == 0 for code, _ in ended), ended
    torch.testing.assert_close(left(tmp_path / "run0"), left(whole), rtol=0, atol=1e-6)
    assert [path.name for path in (tmp_path / "run1").iterdir()] == ["data"]


@pytest.fixture
def hosts():
    """Two network namespaces and a cable between them: their names, and its end in the second."""
    names, ends = [f"seq2seq{n}-{os.getpid()}" for n in (0, 1)], ["s2s0", "s2s1"]

    def ip(*words: str) -> bool:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0

    words: list[tuple[str, ...]] = [("netns", "add", name) for name in names]
    cable = f"link add {ends[0]} netns {names[0]} type veth peer {ends[1]} netns {names[1]}"
    words.append(tuple(cable.split()))
    for n, (name, end) in enumerate(zip(names, ends, strict=True)):
        words.append(("-n", name, "addr", "add", f"10.9.0.{n + 1}/24", "dev", end))
        words += [("-n", name, "link", "set", device, "up") for device in ("lo", end)]
    try:
        if not (shutil.which("ip") and all(ip(*each) for each in words)):
            pytest.skip("no network namespaces here")
        yield names, ends
    finally:
        for name in names:
            if shutil.which("ip"):
                ip("netns", "del", name)


def test_a_host_that_is_cut_off_ends_the_run(script, toy, tmp_path, hosts):
    """No connection is closed: nothing comes any more."""
    script.write_text(
        "from datetime import timedelta\nfrom seq2seq.training import distributed\n"
        "distributed._PATIENCE = timedelta(seconds=8)\n" + script.read_text()
    )
    names, ends = hosts
    more = ("training.epochs=1000000", "training.updates=1000000", "validation.every=10")
    logs = [tmp_path / f"log{node}" for node in (0, 1)]
    processes = []
    for node, log in enumerate(logs):
        join = f"--nnodes=2 --node-rank={node} --master-addr=10.9.0.1 --master-port=29511"
        words = command(script, toy, tmp_path / f"run{node}", *more, join=join)
        with log.open("w") as file:
            processes.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", names[node], *words],
                    stdout=file,
                    stderr=file,
                    env={**os.environ, "GLOO_SOCKET_IFNAME": ends[node]},
                    start_new_session=True,
                )
            )
    try:
        deadline = time.monotonic() + 90
        while "validation at update" not in logs[0].read_text():
            assert time.monotonic() < deadline, [log.read_text() for log in logs]
            time.sleep(0.1)
        subprocess.run(["ip", "-n", names[1], "link", "set", ends[1], "down"], check=True)
        assert all(process.wait(timeout=60) != 0 for process in processes)
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    for log in logs:
        assert "has lost the connection to another rank" in log.read_text()


@pytest.mark.parametrize("task", ["pairs", "text"])
def test_more_ranks_than_there_is_work_for(task, toy, tmp_path):
    few = tmp_path / "few"
    few.with_suffix(".en").write_text("the red cat runs here\n")
    few.with_suffix(".fr").write_text("le chat rouge court ici\n")
    settings = [f"data.train={few}", "tokenizer.kind=char"]
    said = "1 training pairs cannot be split over 2 ranks"
    if task == "text":
        toy = SimpleNamespace(path=toy.folder / "language.toml")
        settings = ["training.batch_tokens=10"]
        said = "a batch of 1 windows (training.batch_tokens / training.window)"
    done = subprocess.run(
        command(None, toy, tmp_path / "run", *settings, ranks=2),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode != 0
    assert said in done.stderr


def test_shares_are_whole_and_near_in_length():
    items = list(range(11))
    shares = [Ranks(number, 3).shard(items) for number in range(3)]
    assert sorted(item for share in shares for item in share) == items
    assert shares[1] == [1, 4, 7, 10]
    assert Ranks().gather_shards(Ranks().shard(items)) == items


# The first rank prepares for longer than a lost rank is waited for.
_SLOW = """
import os, sys, time
from datetime import timedelta
from unittest import mock

from seq2seq import cli
from seq2seq.text import preparation
from seq2seq.training import distributed
from seq2seq.training import run_training, trainer

plain = preparation.prepare_data


def slow(*arguments, **named):
    if os.environ.get("RANK", "0") == "0":
        time.sleep(7)
    return plain(*arguments, **named)


distributed._PATIENCE = timedelta(seconds=4)
trainer.plot_curves = lambda *_: None
run_training.preparation = mock.Mock(prepare_data=slow)
cli.main()
"""


def test_the_others_wait_for_the_one_that_prepares(toy, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(_SLOW)
    run = ran(script, toy, tmp_path / "run", "training.updates=2", ranks=2)
    assert (run / "model" / "config.toml").exists()
