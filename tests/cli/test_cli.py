"""What a shell sees: one line for a mistake, lines that leave at once, one score everywhere."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import seq2seq
from seq2seq.cli import line_io, main
from seq2seq.evaluation import result_rows

_MAIN = [sys.executable, "-c", "from seq2seq.cli import main; main()"]
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
_QUICK = ("--threads", "1", "--device", "cpu")


@pytest.fixture(scope="module")
def model(trained):
    return trained / "model"


@pytest.fixture
def refused(shell):
    """Run a command that must be refused: exit code 2 and one line; gives that line."""

    def run(*arguments, **named):
        said = shell(*arguments, **named)
        assert said.code == 2, said
        assert said.err.startswith("error: "), said.err
        assert said.err.count("\n") == 1, said.err
        assert said.out == ""
        return said.err

    return run


@pytest.mark.parametrize(
    "command",
    [
        *("train", "translate", "score", "evaluate", "results", "plot", "tokenizer"),
        *(
            "plot curves",
            "plot attention",
            "plot lengths",
            "plot costs",
            "perplexity",
            "generate",
            "classify",
            "tag",
            "tokenizer train",
            "tokenizer encode",
            "tokenizer decode",
        ),
        "",
    ],
)
def test_help(shell, command):
    said = shell(*command.split(), "--help")
    assert said.code == 0
    assert said.err == ""
    assert f"seq2seq {command}".strip() in said.out
    assert len(said.out.split("\n")) > 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["translate"], "MODEL"),
        (["train", "none.toml"], "none.toml: this file does not exist"),
        (["translate", "--beem", "3", "m"], "--beem"),
        (["translate", "nowhere"], "nowhere: no such model folder"),
        (["translate", "nowhere", "none.txt"], "none.txt: cannot be read: No such file"),
        (["score", "m", "none.en", "none.fr"], "none.en"),
        (["perplexity", "nowhere"], "nowhere: no such model folder"),
        (["generate", "nowhere", "--prompt", "x"], "nowhere: no such model folder"),
        (["plot", "lengths", "a", "b", "c", "-o", "x.png"], "a: cannot be read"),
        (["results", "nowhere"], "nowhere"),
        (["tokenizer", "encode", "none.model"], "none.model: cannot be read"),
        (["tokenizer", "train", "none.txt", "-o", "x"], "none.txt: cannot be read"),
    ],
)
def test_mistakes(refused, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == []


def shorten(folder):
    (folder / "train.en").write_text("one line\n")
    return "train.en has 1 line and", "206"


def bad_bytes(folder):
    with (folder / "train.fr").open("ab") as file:
        file.write(b"caf\xe9\n")
    with (folder / "train.en").open("ab") as file:
        file.write(b"coffee\n")
    return "train.fr:207: not UTF-8", "0xe9"


def bad_valid(folder):
    (folder / "valid.en").write_bytes(b"\xff\n")
    return ("valid.en:1: not UTF-8",)


def missing(folder):
    (folder / "train.fr").unlink()
    return "data.train: no such file", "train.fr"


def empty(folder):
    for side in ("en", "fr"):
        (folder / f"train.{side}").write_text("")
    return ("no examples",)


def blank(folder):
    for side in ("en", "fr"):
        (folder / f"train.{side}").write_text("\n\n")
    return "no training pairs are left after filtering", "2 empty"


def broken_gzip(folder):
    (folder / "train.fr").unlink()
    (folder / "train.fr.gz").write_bytes(gzip.compress(b"le chat\n" * 999)[:20])
    return "train.fr.gz: broken gzip", ""


@pytest.mark.parametrize(
    "spoil", [shorten, bad_bytes, bad_valid, missing, empty, blank, broken_gzip]
)
def test_a_corpus_that_cannot_be_used(refused, toy, tmp_path, spoil):
    corpus = tmp_path / "corpus"
    shutil.copytree(toy.folder, corpus)
    wanted = spoil(corpus)
    line = refused("train", corpus / "toy.toml", "--out", tmp_path / "run")
    assert all(part in line for part in wanted), line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (["data.max_tokens=1"], ["no training pairs are left", "206 too long"]),
        (
            ["data.train=t.tsv", "data.source_column=english"],
            ["t.tsv", "english"],
        ),
        (
            ["tokenizer.kind=unigram", "tokenizer.vocabulary=5000"],
            ["tokenizer.vocabulary = 5000", "at most 3"],
        ),
        (
            ["encoder.hiden=4", "decoder.layers=0", "training.clip=-1", "tokeniser.kind='bpe'"],
            ["hiden; did you mean 'hidden'?", "decoder.layers", "training.clip", "did you mean"],
        ),
        (["training.device='cuda:7'"], ["device 'cuda:7' is not available", "cpu"]),
        (["training.precision='fp8'"], ["training.precision"]),
        (["encoder"], ["--set encoder: not a setting; write section.key=value"]),
    ],
)
def test_a_configuration_that_cannot_be_used(refused, toy, tmp_path, settings, wanted):
    if torch.cuda.device_count() > 7:
        pytest.skip("this machine has the device that the test misses")
    config = tmp_path / "toy.toml"
    text = toy.path.read_text()
    for name in ("train", "valid", "test"):
        text = text.replace(f' = "{name}"', f' = "{toy.folder / name}"')
    config.write_text(text)
    (tmp_path / "t.tsv").write_text("en\tfr\nred\trouge\n")
    flags = [part for setting in settings for part in ("--set", setting)]
    line = refused("train", config, "--out", tmp_path / "run", *flags)
    assert all(part in line for part in wanted), line
    assert not (tmp_path / "run").exists()


def test_a_run_is_begun_once_and_keeps_its_shape(shell, refused, toy, tmp_path, no_picture):
    run = tmp_path / "run"
    tiny = ["train", toy.path, "--out", run, "--set", "training.updates=2"]
    said = shell(*tiny)
    assert said.code == 0
    assert said.err.endswith(f"the model is in {run / 'model'}\n")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert "already holds a run; add --resume" in refused(*tiny)
    other = ["--set", "encoder.hidden=33", "--set", "decoder.cell=lstm"]
    line = refused(*tiny, "--resume", *other)
    assert "encoder.hidden was 32, is now 33" in line
    assert "decoder.cell was 'gru', is now 'lstm'" in line
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.txt").write_text("mine")
    line = refused("train", toy.path, "--out", stranger, "--resume")
    assert "is not empty and holds no run" in line
    assert [path.name for path in stranger.iterdir()] == ["thesis.txt"]
    corpus = stranger / "data"
    (stranger / "thesis.txt").rename(stranger / "config.toml")
    (stranger / "config.toml").write_bytes((run / "config.toml").read_bytes())
    corpus.mkdir()
    (corpus / "train.en").write_text("mine")
    for piece in ("train", "valid", "test"):
        for side in ("en", "fr"):
            shutil.copy(toy.folder / f"{piece}.{side}", corpus)
    line = refused("train", toy.path, "--out", stranger, "--resume", "--set", "training.updates=2")
    assert "contains files that are not prepared data" in line
    assert len(list(corpus.iterdir())) == 6
    assert shell(*tiny, "--resume").code == 0


@pytest.mark.parametrize("piece", ["config.toml", "tokenizer.model", "model.safetensors"])
@pytest.mark.parametrize("damage", ["gone", "noise"])
def test_a_model_folder_with_a_piece_missing(refused, model, tmp_path, piece, damage):
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    if damage == "gone":
        (folder / piece).unlink()
    else:
        (folder / piece).write_bytes(b"\x00\xff noise")
    out = tmp_path / "out"
    line = refused("translate", folder, "-o", out, *_QUICK, stdin=b"the red cat runs\n")
    assert str(folder / piece) in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--beam", "0"], "at least 1"),
        (["--n-best", "9"], "needs a beam of at least 9"),
        (["--sample", "--temperature", "inf"], "temperature"),
        (["--device", "cuda:7"], "device 'cuda:7' is not available"),
        (["--device", "abacus"], "device 'abacus' is not available"),
        (["--max-length", "0"], "maximum length 0"),
        (["--length-penalty", "nan"], "the length penalty must be from 0 to 10, but is nan"),
        (["--length-penalty", "99"], "the length penalty must be from 0 to 10, but is 99.0"),
        (["--min-length", "9", "--max-length", "3"], "maximum length 3 is below the minimum"),
        (["--sample", "--beam", "4"], "choose either sampling or a beam"),
    ],
)
def test_a_search_that_cannot_be(refused, model, options, said):
    if torch.cuda.device_count() > 7:
        pytest.skip("this machine has the device that the test misses")
    assert said in refused("translate", model, *options, stdin=b"the red cat\n")


def test_it_translates(shell, model, toy, tmp_path):
    source = toy.folder / "test.en"
    said = shell("translate", model, source, *_QUICK)
    assert said.code == 0
    lines = said.out.removesuffix("\n").split("\n")
    assert len(lines) == 25
    out = tmp_path / "out"
    assert shell("translate", model, source, "-o", out, *_QUICK).out == ""
    assert out.read_text() == said.out
    assert shell("translate", model, *_QUICK, stdin=source.read_bytes()).out == said.out
    assert shell("translate", f"{model},{model}", source, *_QUICK).out == said.out


def test_a_name_is_missing(refused, model):
    for folders in (f"{model},", ""):
        assert "the name of a model folder is missing" in refused("translate", folders)


def test_closed_streams(model):
    """`<&-`, `>&-` and `2>&-`, as some leave them that start programs."""
    command = f"{sys.executable} -m seq2seq translate {model} --threads 1 --device cpu"
    done = subprocess.run(f"{command} <&-", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = subprocess.run(
        f"echo the cat | {command} >&-", shell=True, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: stdout is closed")
    assert done.stderr.count("\n") == 1
    done = subprocess.run(f"{command} --beam 0 2>&-", shell=True, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (2, "")


def test_bytes_that_are_no_text_are_translated_and_named(shell, model):
    said = shell("translate", model, *_QUICK, stdin=b"the red cat runs\n\n\xff\xfe cat\n")
    assert said.code == 0
    assert said.out.count("\n") == 3
    assert said.out.split("\n")[0] == "le chat rouge court"
    assert said.err == "line 3 is not valid UTF-8; its invalid bytes are read as U+FFFD\n"


def test_n_best_and_scores_are_rows(shell, model, toy):
    text = "\n".join(toy.lines("test.en")[:3]) + "\n\n"
    said = shell("translate", model, "--beam", "4", "--n-best", "3", *_QUICK, stdin=text.encode())
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [(row["line"], row["rank"]) for row in rows] == [
        *((line, rank) for line in (1, 2, 3) for rank in (1, 2, 3)),
        (4, 1),
    ]
    assert rows[-1]["text"] == ""
    for first in (0, 3, 6):
        scores = [row["score"] for row in rows[first : first + 3]]
        assert scores == sorted(scores, reverse=True)
    said = shell("translate", model, "--beam", "4", "--scores", *_QUICK, stdin=text.encode())
    assert [json.loads(line) for line in said.out.splitlines()] == [
        row for row in rows if row["rank"] == 1
    ]


def test_score_says_what_the_search_says(shell, model, toy, tmp_path):
    source = toy.folder / "test.en"
    said = shell("translate", model, source, "--scores", "--length-penalty", "0.6", *_QUICK)
    rows = [json.loads(line) for line in said.out.splitlines()]
    target = tmp_path / "target"
    target.write_text("".join(row["text"] + "\n" for row in rows))
    said = shell("score", model, source, target, "--length-penalty", "0.6", *_QUICK)
    assert [float(x) for x in said.out.split()] == pytest.approx(
        [row["score"] for row in rows], abs=1e-4
    )


def test_unequal_files_are_refused_with_both_counts(refused, model, toy, tmp_path):
    (tmp_path / "two").write_text("a\nb\n")
    for command in ("score", "evaluate"):
        line = refused(command, model, toy.folder / "test.en", tmp_path / "two", *_QUICK)
        assert "25 lines" in line
        assert "has 2;" in line


def test_the_output_is_never_the_input(refused, model, tmp_path):
    file = tmp_path / "file"
    file.write_text("the red cat runs\n")
    (tmp_path / "link").symlink_to(file)
    for name in (file, tmp_path / "link"):
        assert "the output is also the input" in refused("translate", model, file, "-o", name)
    for redirect in (f"{file} >> {file}", f"< {file} >> {file}"):
        shown = " ".join(_MAIN[:2]) + f" '{_MAIN[2]}' translate {model} {redirect}"
        done = subprocess.run(shown, shell=True, capture_output=True, env=_ENVIRONMENT)
        assert done.returncode == 2
        assert done.stderr.startswith(b"error: the output is also the input")
    assert file.read_text() == "the red cat runs\n"


@pytest.fixture
def pipe(model):
    """A `seq2seq translate` that waits for lines."""
    process = subprocess.Popen(
        [*_MAIN, "translate", str(model), "--beam", "1", *_QUICK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_ENVIRONMENT,
    )
    yield process
    process.kill()
    process.communicate()


def test_a_line_leaves_at_once_and_a_reader_may_leave_too(pipe):
    """The second half: `| head -1`, while our own stdin stays open."""
    for source, target in (
        (b"the red cat runs\n", b"le chat rouge court\n"),
        (b"\n", b"\n"),
        (b"the old dog eats\n", b"le chien vieux mange\n"),
    ):
        pipe.stdin.write(source)
        pipe.stdin.flush()
        assert pipe.stdout.readline() == target
    pipe.stdout.close()
    pipe.stdin.write(b"the red cat runs\n")
    pipe.stdin.flush()
    assert pipe.wait(timeout=30) == 1
    assert pipe.stderr.read() == b""


@pytest.fixture
def scored(toy, trained, tmp_path):
    """A run folder of this test's own, inside a git tree that ignores it."""
    tree = tmp_path / "tree"
    shutil.copytree(trained, tree / "runs/toy/base")
    shutil.rmtree(tree / "runs/toy/base/checkpoints")
    (tree / ".gitignore").write_text("runs/\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tree), *command], check=True)
    return tree


def test_evaluate_says_what_sacrebleu_says(shell, model, toy, tmp_path):
    out = tmp_path / "out"
    said = shell("evaluate", model, "-o", out, "--json", "--max-length", "5", *_QUICK)
    found = json.loads(said.out)
    assert (found["set"], found["lines"]) == ("test", 25)
    value = {score["name"]: score["value"] for score in found["scores"]}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sacrebleu", toy.folder / "test.fr", "-i", out),
            *("-m", "bleu", "chrf", "ter", "-w", "6", "--score-only"),
        ],
        capture_output=True,
        check=True,
    )
    values = [value[name] for name in ("BLEU", "chrF", "TER")]
    assert values == pytest.approx(json.loads(done.stdout), abs=1e-5)
    assert 0 < value["BLEU"] < 99  # cut short, so that there is something to agree on
    files = shell(
        *("evaluate", model, toy.folder / "test.en", toy.folder / "test.fr"),
        *("--max-length", "5", "--plot", tmp_path / "a.png", *_QUICK),
    )
    assert f"BLEU {value['BLEU']:.2f}" in files.out
    assert "nrefs:1" in files.out
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    packed = [tmp_path / "test.en.gz", tmp_path / "test.fr.gz"]
    for path in packed:
        path.write_bytes(gzip.compress((toy.folder / path.stem).read_bytes()))
    again = shell("evaluate", model, *packed, "--max-length", "5", *_QUICK)
    assert again.out.splitlines()[1:] == files.out.splitlines()[1:]


def test_packed_input_is_unpacked(shell, refused, model, toy, tmp_path):
    lines = (toy.folder / "test.en").read_bytes()
    packed = tmp_path / "test.en.gz"
    packed.write_bytes(gzip.compress(lines))
    said = shell("translate", model, packed, "--beam", "1", *_QUICK)
    assert said.out.count("\n") == lines.count(b"\n")
    assert said.out == shell("translate", model, "--beam", "1", *_QUICK, stdin=lines).out
    packed.write_bytes(gzip.compress(lines)[:-20])
    out = tmp_path / "out"
    assert "test.en.gz: broken gzip" in refused("translate", model, packed, "-o", out, *_QUICK)
    assert not out.exists()


def test_what_was_translated_before_an_interruption_is_kept(shell, model, tmp_path, monkeypatch):
    out = tmp_path / "out"
    windows = line_io.read_windows

    def interrupted(*arguments):
        yield from windows(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(line_io, "read_windows", interrupted)
    said = shell("translate", model, "-o", out, *_QUICK, stdin=b"the red cat runs\nthe dog eats\n")
    assert said.code
    assert f"the lines written so far are in {out}.part" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.part"]
    assert (tmp_path / "out.part").read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_was_translated_before_a_signal_is_kept(model, tmp_path, number):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "seq2seq", "translate", model, "-o", out, *_QUICK]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*map(str, command)], **pipes) as process:
        process.stdin.write(b"the red cat runs\n")
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in tmp_path.iterdir()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"the lines written so far are in {out}.part" in said.decode()
    assert (tmp_path / "out.part").read_bytes().count(b"\n") == 1


def test_perplexity_is_the_same_wherever_it_is_said(shell, speaking, toy, tmp_path):
    run = tmp_path / "toy" / "language"
    shutil.copytree(speaking, run)
    (run / "results.jsonl").unlink(missing_ok=True)
    model, text = run / "model", toy.folder / "test.fr"
    said = shell("perplexity", model, text, *_QUICK)
    assert said.code == 0, said
    value, tokens = re.fullmatch(
        r"perplexity ([\d.]+)   [\d.]+ nats a token, ([\d,]+) tokens\n", said.out
    ).groups()
    lines = toy.lines("test.fr")
    assert int(tokens) == sum(len(line.split()) + 1 for line in lines)
    assert 2.6 < float(value) < 3.2
    assert shell("perplexity", model, stdin=text.read_bytes()).out == said.out
    for arguments in ((text,), ()):
        found = json.loads(shell("evaluate", model, *arguments, "--json", *_QUICK).out)
        (score,) = found["scores"]
        assert score["name"] == "perplexity"
        assert f"{score['value']:.3f}" == value
        assert found["lines"] == len(lines)
    (row, _) = map(json.loads, (run / "results.jsonl").read_text().splitlines())
    assert (row["split"], row["variant"], row["decoding"]) == ("test", "language", {})


def test_a_text_is_written(shell, speaking, toy):
    said = shell("generate", speaking / "model", "--prompt", "le chat", "--length", "30", *_QUICK)
    assert said.code == 0, said
    assert said.out.startswith("le chat ")
    again = shell("generate", speaking / "model", "--prompt", "le chat", "--length", "30", *_QUICK)
    assert again.out == said.out
    other = shell("generate", speaking / "model", "--length", "30", "--seed", "2", *_QUICK)
    assert set(other.out.split()) <= set(" ".join(toy.lines("train.fr")).split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["translate"], "is a model of task 'language-model', not 'translation' or "
                        "'aligned': use this model with seq2seq perplexity, seq2seq "
                        "generate and seq2seq evaluate"),
        (["generate", "--prompt", " "], "the prompt is empty"),
        (["generate", "--top-p", "0"], "top-p must be above 0 and at most 1"),
        (["generate", "--length", "0", "--temperature", "0"], "maximum length 0 is below"),
        (["perplexity"], "stdin: no tokens"),
        (["evaluate", "-o", "x"], "is scored by perplexity, so there is no text and no plot"),
        (["evaluate", "--plot", "x.png"], "--plot x.png: "),
        (["evaluate", "--beam", "3"], "is evaluated without a search"),
        (["generate", "--number", "3"], "--number: "),
        (["generate", "--given", "red"], "--given: "),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_of_a_language_model(refused, speaking, arguments, said):
    assert said in refused(arguments[0], speaking / "model", *arguments[1:])


def test_a_prompt_from_windows_is_printed_with_plain_line_ends(shell, speaking):
    command = ("generate", speaking / "model", "--length", "5", *_QUICK, "--prompt")
    plain = shell(*command, "le chat rouge\nle")
    assert plain.out.startswith("le chat rouge\nle ")
    for prompt in ("le chat rouge\r\nle", "le chat rouge\r\nle\r"):
        assert shell(*command, prompt) == plain


def test_options_that_permit_no_further_token_are_one_clear_line(shell, model):
    """The vocabulary is smaller than the shortest permitted output."""
    once = ("--no-repeat-ngram", "1")
    for search in (["--beam", "1"], ["--beam", "2"], ["--sample"]):
        said = shell(
            "translate", model, *once, *search, *_QUICK, "--min-length", "400",
            "--max-length", "500", stdin=b"the\nthe red cat\n",
        )  # fmt: skip
        assert re.search(r"line [12] \(\d+ subwords\): the options permit no", said.err)
        assert (said.code, said.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("verb", ["perplexity", "generate"])
def test_what_cannot_be_asked_of_a_translator(refused, model, verb):
    assert "use this model with seq2seq translate, seq2seq score, seq2seq embed and" in refused(
        verb, model
    )


def test_results_are_recorded_from_a_clean_tree_alone(shell, refused, scored, monkeypatch):
    monkeypatch.chdir(scored)
    run, record = scored / "runs/toy/base", scored / "results.jsonl"
    command = ("evaluate", run / "model", "--beam", "1", "--record", record, *_QUICK)
    assert shell(*command).code == 0
    (row,) = [json.loads(line) for line in record.read_text().splitlines()]
    assert (row["recipe"], row["variant"], row["split"]) == ("toy", "base", "test")
    assert row["command"].startswith("seq2seq evaluate ")
    assert row["training_minutes"] > 0
    assert row["decoding"] == {"beam": 1, "length_penalty": 1.0}  # what is usual is not said
    starts = (run / "starts.jsonl").read_text().splitlines()
    assert row["training"] == json.loads(starts[-1])
    assert json.loads((run / "results.jsonl").read_text().splitlines()[-1]) == row
    assert shell(*command).code == 0  # its own file does not make the tree dirty
    assert record.read_text().count("\n") == 2
    twice = f"{run / 'model'},{run / 'model'}"
    assert shell("evaluate", twice, "--beam", "1", "--record", record, *_QUICK).code == 0
    of_two = json.loads(record.read_text().splitlines()[-1])
    assert of_two["decoding"] == row["decoding"] | {"ensemble": 2}  # no second row of the model
    assert of_two["training_minutes"] == 2 * row["training_minutes"]
    short = shell(*command, "--max-length", "5")
    assert short.code == 0
    of_five = json.loads(record.read_text().splitlines()[-1])
    assert of_five["decoding"] == row["decoding"] | {"max_length": 5}
    assert of_two["parameters"] == 2 * row["parameters"]
    assert shell("results", scored).code == 0
    assert f"{row['metrics'][0]['value']:.2f}" in (scored / "RESULTS.md").read_text()
    (scored / "loose").write_text("end")
    said = shell(*command)
    assert said.code == 2
    assert "uncommitted changes (loose)" in said.err
    assert record.read_text().count("\n") == 4


def test_validation_says_what_evaluate_says(shell, trained, scored):
    """Training translates by the path of every command; a recipe names what makes its row."""
    run, record = scored / "runs/toy/base", scored / "rows.jsonl"
    words = ("--split", "valid", "--beam", "1", "--json")
    command = ("--record", record, "--command", "recipes/toy/run.sh base")
    said = json.loads(shell("evaluate", run / "model", *words, *command, *_QUICK).out)
    judged = map(json.loads, (trained / "metrics.jsonl").read_text().splitlines())
    best = max(row["bleu"] for row in judged if row["kind"] == "valid")
    assert said["scores"][0]["value"] == pytest.approx(best)
    (row,) = map(json.loads, record.read_text().splitlines())
    assert (row["command"], row["split"]) == (command[-1], "valid")
    assert (row["metrics"][0]["signature"]) in (run / "model/README.md").read_text()


def test_a_row_is_recorded_though_nobody_reads_what_is_said(scored):
    record, (reads, writes) = scored / "unread.jsonl", os.pipe()
    os.close(reads)
    command = ("evaluate", scored / "runs/toy/base/model", "--beam", "1", "--record", record)
    done = subprocess.run(
        [*_MAIN, *command, *_QUICK],
        env=_ENVIRONMENT,
        stdout=writes,
        stderr=subprocess.PIPE,
        cwd=scored,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, b"")
    assert record.read_text().count("\n") == 1


def test_a_row_that_cannot_be_written_costs_no_score(shell, scored):
    run = scored / "runs/toy/base"
    (run / "results.jsonl").unlink(missing_ok=True)
    (run / "results.jsonl").mkdir()
    said = shell("evaluate", run / "model", "--beam", "1", *_QUICK)
    assert said.code == 0
    assert "the scores are not recorded in the run folder" in said.err
    assert "results.jsonl" in said.err
    assert "BLEU" in said.out
    said = shell("evaluate", run / "model", "--record", run / "results.jsonl", *_QUICK)
    assert said.code == 2  # the user asked for this file


def test_evaluate_with_several_references_and_another_tokenizer(shell, model, toy, tmp_path):
    sides = [toy.folder / "test.en", toy.folder / "test.fr"]
    more = tmp_path / "more.fr"
    more.write_text("".join(f"{line} !\n" for line in toy.lines("test.fr")), encoding="utf-8")
    quick = ("--beam", "1", "--max-length", "5", "--json", *_QUICK)
    one, both, cut = (
        json.loads(shell("evaluate", model, *files, *options, *quick).out)
        for files, options in (
            (sides, ()),
            ([sides[0], more, sides[1]], ()),
            (sides, ("--tokenize", "char")),
        )
    )
    signatures = [found["scores"][0]["signature"] for found in (one, both, cut)]
    assert ["nrefs:1" in signatures[0], "nrefs:2" in signatures[1]] == [True, True]
    assert [found["bleu_tokenizer"] for found in (one, both, cut)] == ["13a", "13a", "char"]
    assert both["scores"][3]["value"] == one["scores"][3]["value"]  # exact match
    assert "tok:char" in signatures[2]
    said = shell("evaluate", model, *sides, "--beam", "1", *_QUICK)
    assert "BLEU tokenizer: 13a (the references are in a script with spaces" in said.out
    more.write_text("short\n")
    said = shell("evaluate", model, *sides, more, *_QUICK)
    assert (said.code, "25 lines, but" in said.err) == (2, True)
    said = shell("evaluate", model, "--split", "vaild", *_QUICK)
    assert (said.code, "did you mean 'valid'" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plot", "x.jpg"], "x.jpg: a picture must end in .png, .svg or .pdf, not in 'jpg'"),
        (["-o", "nowhere/out"], "the folder nowhere does not exist"),
        (["-o", "out.gz"], "out.gz: the output is never compressed"),
        (["--top-k", "3"], "temperature, top-k, top-p and seed only work with sampling (--sample)"),
        (["--utility", "bleu"], "the utility only works with minimum Bayes risk (--mbr)"),
        (
            ["--split", "valid", "x.en", "x.fr"],
            "--split valid does not work with a SOURCE file; leave out one of them",
        ),
    ],
)
def test_what_evaluate_refuses_before_the_work(
    refused, model, tmp_path, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    assert said in refused("evaluate", model, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "ids"), [("unigram", False), ("bpe", True), ("char", False), ("word", True)]
)
def test_tokenizers_there_and_back(shell, toy, tmp_path, kind, ids):
    path, text = tmp_path / "t.model", toy.folder / "train.en"
    size = ("--vocabulary", "285")
    assert shell("tokenizer", "train", text, "-o", path, "--kind", kind, *size).code == 0
    flag = ["--ids"] if ids else []
    encoded = shell("tokenizer", "encode", path, text, *flag).out
    assert encoded != text.read_text()
    assert bool(re.fullmatch(r"[\d \n]+", encoded)) == ids
    decoded = shell("tokenizer", "decode", path, *flag, stdin=encoded.encode()).out
    assert decoded == text.read_text()


def test_a_vocabulary_that_the_text_does_not_allow(refused, toy, tmp_path):
    line = refused(
        *("tokenizer", "train", toy.folder / "train.en", "-o", tmp_path / "t.model"),
        *("--vocabulary", "9999"),
    )
    assert re.search(r"at most \d+ is possible", line)
    assert not (tmp_path / "t.model").exists()


def test_pictures(shell, trained, toy, tmp_path):
    assert shell("plot", "curves", trained, "-o", tmp_path / "c.png").code == 0
    references = toy.folder / "test.fr"
    arguments = (toy.folder / "test.en", references, f"gold={references}")
    assert shell("plot", "lengths", *arguments, "-o", tmp_path / "l.png").code == 0
    for name in ("c.png", "l.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_alignments_a_line_for_a_line(shell, attending, toy, tmp_path):
    lines = [*toy.lines("test.en")[:4], "", "the  red\u00a0cat"]
    text = "".join(line + "\n" for line in lines).encode()
    hard, soft = tmp_path / "hard.txt", tmp_path / "soft.jsonl"
    model = attending / "model"
    said = [
        shell("translate", model, "--alignments", file, *_QUICK, stdin=text)
        for file in (hard, soft)
    ]
    assert said[0].code == 0, said[0].err
    assert said[0].out == said[1].out == shell("translate", model, *_QUICK, stdin=text).out
    pairs = hard.read_text().split("\n")[:-1]
    rows = [json.loads(line) for line in soft.read_text().split("\n")[:-1]]
    assert len(pairs) == len(rows) == len(lines)
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=1):
        assert row["line"] == number
        assert len(row["weights"]) == len(row["target"])
        assert all(len(weights) == len(row["source"]) for weights in row["weights"])
        assert all(sum(weights) == pytest.approx(1, abs=1e-4) for weights in row["weights"])
        assert "".join(row["source"]).replace("</s>", "").split("▁")[1:] == line.split()
    assert pairs[4] == ""
    picture = tmp_path / "line2.png"
    assert shell("plot", "attention", soft, "--line", "2", "-o", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_alignments_that_cannot_be(refused, model, attending, toy, tmp_path):
    source = toy.folder / "test.en"
    out = tmp_path / "out"
    said = refused("translate", model, source, "-o", out, "--alignments", tmp_path / "a", *_QUICK)
    assert "fixed context vector" in said
    assert "context.kind" in said
    said = refused("translate", model, "--alignments", tmp_path / "a", *_QUICK, stdin=b"")
    assert "fixed context vector" in said  # with nothing to translate, too
    attending = attending / "model"
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path)
    for here in ("-", out, linked / "out", tmp_path, "/dev/stdout", "/dev/null"):
        said = refused("translate", attending, source, "-o", out, "--alignments", here, *_QUICK)
        assert "name a separate file" in said
    said = refused("translate", attending, source, "--alignments", "/dev/stdout", *_QUICK)
    assert "name a separate file" in said
    assert "the output is also the input" in refused(
        "translate", attending, source, "--alignments", source
    )
    assert list(tmp_path.iterdir()) == [linked]


def test_an_output_that_is_a_link_stays_one(shell, model, toy, tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old\n")
    link.symlink_to(target)
    assert shell("translate", model, toy.folder / "test.en", "-o", link, *_QUICK).code == 0
    assert link.is_symlink()
    assert len(target.read_text().split("\n")) == 26


def test_dev_stdout_is_stdout(model, toy, tmp_path):
    """Sent to a file too, where a rename would put a file in the place of /dev/stdout."""
    command = [*_MAIN, "translate", model, toy.folder / "test.en", "-o", "/dev/stdout", *_QUICK]
    with (tmp_path / "out").open("wb") as sent:
        subprocess.run(command, env=_ENVIRONMENT, stdout=sent, check=True)
    assert (tmp_path / "out").read_bytes().count(b"\n") == 25
    piped = subprocess.run(command, env=_ENVIRONMENT, stdout=subprocess.PIPE, check=True)
    assert piped.stdout == (tmp_path / "out").read_bytes()
    assert Path("/dev/stdout").is_symlink()


def test_the_pieces_of_a_model_folder_are_those_that_it_is_fed(shell, models, tmp_path):
    from seq2seq.models import folder

    where = tmp_path / "lower"
    model = folder.load_model(models["classify"])
    changed = model.config.tokenizer.model_copy(update={"lowercase": True})
    config = model.config.model_copy(update={"tokenizer": changed})
    folder.save_model(where, folder.Model(config, model.codec, model.network), "card\n")
    assert shell("tokenizer", "encode", where, stdin=b"THE CAT\n").out == (
        shell("tokenizer", "encode", where, stdin=b"the cat\n").out
    )
    said = shell("tokenizer", "encode", where, "--lowercase", stdin=b"a\n")
    assert said.code == 2
    assert "already sets whether text is converted to lower case" in said.err


def test_the_names_of_the_package(trained, toy):
    """What the README's three lines of Python stand on."""
    lines = toy.lines("test.en")
    translator = seq2seq.load(trained / "model", device="cpu")
    assert isinstance(translator, seq2seq.Translator)
    assert translator.translate(lines, beam=1) == translator.translate(lines, beam=1)
    together = seq2seq.load(trained / "model", trained / "model", device="cpu")
    assert together.translate(lines[:3]) == translator.translate(lines[:3])


def test_a_bug_keeps_its_traceback(monkeypatch, tmp_path):
    monkeypatch.setattr(result_rows, "write_results", lambda folder: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["seq2seq", "results", str(tmp_path)])
    with pytest.raises(ZeroDivisionError):
        main()
