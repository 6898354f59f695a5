"""Promise 4: whatever happens while one is written, the last complete checkpoint loads."""

import dataclasses
import itertools
import os
import pickle
import resource
import signal

import pytest
import torch
from torch import nn

from seq2seq import files
from seq2seq.errors import UserError
from seq2seq.training.checkpoint import Checkpoints
from seq2seq.training.state import Counters, TrainState


def a_state(seed=0, **counters):
    """A network that has made an update, its average, and its optimiser."""
    torch.manual_seed(seed)
    network, ema = nn.Linear(200, 50), nn.Linear(200, 50)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    network(torch.ones(1, 200)).sum().backward()
    optimizer.step()
    return TrainState(network, ema, optimizer, counters=Counters(**counters))


@pytest.fixture
def saved(tmp_path):
    """A folder that holds update 1, and what was saved there."""
    state = a_state(1, update=1, epoch=2, position=3, best=-1.25)
    Checkpoints(tmp_path / "c").save(state)
    return tmp_path / "c", state


def as_update(state, update):
    """The same, some updates later."""
    return dataclasses.replace(state, counters=Counters(update=update))


def is_update_1(folder, state):
    loaded = a_state(2)
    assert Checkpoints(folder).load(loaded)
    assert loaded.counters == state.counters
    for name in ("network", "ema", "optimizer"):
        wanted, got = getattr(state, name), getattr(loaded, name)
        torch.testing.assert_close(got.state_dict(), wanted.state_dict(), rtol=0, atol=0)


def test_round_trip(saved):
    is_update_1(*saved)


def test_a_newer_one_takes_its_place(saved):
    folder, state = saved
    Checkpoints(folder).save(as_update(state, 2))
    assert [path.name for path in folder.iterdir()] == ["update-00000002"]


def test_there_is_none_yet(tmp_path):
    assert not Checkpoints(tmp_path / "none").load(a_state())


# Sizes of files at which the disk is full: inside each file of a checkpoint.
@pytest.mark.parametrize("room", [0, 1000, 41_000, 80_000])
def test_a_full_disk(saved, room):
    folder, state = saved
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert room < max(sizes)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(UserError, match=r"update-00000002/\S+: the checkpoint cannot be"):
            Checkpoints(folder).save(as_update(state, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in folder.iterdir()] == ["update-00000001"]
    is_update_1(folder, state)


def killed_at(call: int, work) -> bool:
    """Run `work` in a process that is killed before its call-th sync or renaming; false if it
    ended."""
    child = os.fork()
    if child == 0:
        calls = itertools.count(1)

        def deadly(plain):
            def instead(*arguments):
                if next(calls) == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return plain(*arguments)

            return instead

        os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("update", [1, 2])
def test_killed_at_any_point_of_a_save(saved, update, swaps, monkeypatch):
    """update 1: the same name is written again, as a resumed run may do; swaps: whether the file
    system can swap two names, which that of a network may not."""
    if not swaps:
        monkeypatch.setattr(files.ctypes, "CDLL", lambda *_, **__: None)
    folder, state = saved
    state.counters.update = update
    for call in range(1, 20):
        alive = not killed_at(call, lambda: Checkpoints(folder).save(state))
        files.finish_interrupted_swap(folder)  # as a run that goes on does
        loaded = a_state(2)
        assert Checkpoints(folder).load(loaded)
        assert loaded.counters.update in (1, update)
        if alive:
            break
    assert call > 4
    is_update_1(folder, state)


BROKEN = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.pt", "counters.json"])
def test_a_broken_file_is_named_in_one_line(saved, name, damage):
    folder, _ = saved
    damage(folder / "update-00000001" / name)
    with pytest.raises(UserError, match="update-00000001") as refusal:
        Checkpoints(folder).load(a_state())
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("values", ['{"update": 1, "novelty": 1}', "{}", "[]"])
def test_counters_of_another_making_is_refused(saved, values):
    folder, _ = saved
    (folder / "update-00000001/counters.json").write_text(values)
    with pytest.raises(UserError, match="cannot be read"):
        Checkpoints(folder).load(a_state())


def test_a_checkpoint_of_an_older_version_is_refused(saved):
    folder, _ = saved
    (folder / "update-00000001/counters.json").rename(folder / "update-00000001/progress.json")
    with pytest.raises(UserError, match="another version"):
        Checkpoints(folder).load(a_state())


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("sprung",))


@pytest.mark.parametrize(
    "write", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap, 2))]
)
def test_a_strangers_pickle_runs_nothing(saved, write, monkeypatch, tmp_path):
    folder, _ = saved
    monkeypatch.chdir(tmp_path)
    write({"optimizer": Trap(), "cpu": Trap()}, folder / "update-00000001/optimizer.pt")
    with pytest.raises(UserError, match="cannot be read"):
        Checkpoints(folder).load(a_state())
    assert not (tmp_path / "sprung").exists()


def test_a_folder_of_the_same_name_is_replaced_as_a_whole(tmp_path):
    """What `save` stands on when it writes the same update again."""
    folder = tmp_path / "f"
    for content in ("old", "new"):
        with files.atomic_folder(folder) as aside:
            (aside / "a").write_text(content)
            assert folder.exists() == (content == "new")
    assert (folder / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "trap"])
def test_a_broken_state_of_a_text_is_named_and_runs_nothing(saved, damage, monkeypatch, tmp_path):
    folder, _ = saved
    monkeypatch.chdir(tmp_path)
    path = folder / "update-00000001/hidden.pt"
    torch.save(Trap() if damage == "trap" else [(torch.zeros(2, 3),)], path)
    if damage != "trap":
        loaded = a_state()
        Checkpoints(folder).load(loaded)
        assert torch.equal(loaded.hidden[0][0], torch.zeros(2, 3))
        BROKEN[damage](path)
    with pytest.raises(UserError, match=r"hidden\.pt: the hidden state cannot be read"):
        Checkpoints(folder).load(a_state())
    assert not (tmp_path / "sprung").exists()


def test_how_to_go_on_is_said_by_the_optimiser_that_is_filled(saved):
    folder, _ = saved
    state = a_state(2)
    state.optimizer = torch.optim.AdamW(
        state.network.parameters(), betas=(0.5, 0.6), weight_decay=0.5, fused=True
    )
    Checkpoints(folder).load(state)
    (group,) = state.optimizer.param_groups
    assert (group["betas"], group["weight_decay"]) == ((0.5, 0.6), 0.5)
    assert len(state.optimizer.state) == 2
