"""A row of results is whole, belongs to a commit, and is on the page."""

import json
import statistics
import subprocess
from pathlib import Path

import pytest

from seq2seq.errors import UserError
from seq2seq.evaluation.result_rows import (
    append_row,
    make_row,
    read_rows,
    render_results,
    write_results,
)
from seq2seq.evaluation.scores import Score, corpus_scores

RECIPES = sorted(path.parent for path in Path(__file__).parents[2].glob("recipes/*/results.jsonl"))


def row(**changed):
    made = {
        "recipe": "multi30k",
        "variant": "gru",
        "seed": 1,
        "split": "test",
        "decoding": {"beam": 5, "length_penalty": 1.0},
        "scores": corpus_scores(["a b c d e"], ["a b c d f"]),
        "parameters": 7_654_321,
        "training_minutes": 34.56,
        "seconds": 2.0,
        "lines": 1000,
        "command": "seq2seq evaluate runs/a/model --split test",
    }
    return make_row(**(made | changed))


def scored(value, **changed):
    return row(scores=[Score("BLEU", value, "tok:13a")], **changed)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A git repository with one commit, recipes/a in it, and us inside."""
    folder = tmp_path / "tree"
    (folder / "recipes" / "a").mkdir(parents=True)
    (folder / "code.py").write_text("1\n")
    (folder / ".gitignore").write_text("runs/\n")
    git(folder, "init", "-q")
    commit_all(folder)
    monkeypatch.chdir(folder)
    return folder


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def commit_all(folder):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")


def test_a_row_says_where_it_came_from(tree):
    made = row()
    head = git(tree, "rev-parse", "HEAD").strip()
    assert made["commit"] == head
    assert "training" not in made
    assert made["hardware"].keys() == {"cpu", "cores", "threads", "torch"}
    assert made["hardware"]["cpu"]
    names = ["BLEU", "chrF", "TER", "exact match"]
    assert [metric["name"] for metric in made["metrics"]] == names
    assert "tok:13a" in made["metrics"][0]["signature"]
    (tree / "recipes" / "a" / "results.jsonl").write_text("")
    assert row()["commit"] == head
    (tree / "code.py").write_text("2\n")
    assert row()["commit"] == f"{head}+changes"


def test_outside_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert row()["commit"] == "unknown"


def test_a_figure_that_is_none_is_not_a_result():
    with pytest.raises(UserError, match="perplexity of gru on test is inf"):
        row(scores=[Score("perplexity", float("inf"), "")])


def test_a_model_scored_elsewhere_stands_with_what_it_was_trained_on():
    training = {"hardware": {"gpu": "A100", "threads": 4, "cores": 8}, "commit": "f" * 40}
    page = render_results([row(training=training)], "a")
    assert "A100, 4 of 8 cores" in page
    assert "f" * 10 in page


def test_rows_come_back_as_they_were_appended(tmp_path):
    path = tmp_path / "results.jsonl"
    rows = [row(), row(variant="größer | é\u2028\n", training_minutes=None), row(seed=2)]
    for one in rows:
        append_row(path, one, require_clean=None)
    assert read_rows(path) == rows
    assert path.read_bytes().count(b"\n") == 3


def test_a_file_name_that_is_no_text_is_kept(tmp_path):
    path = tmp_path / "results.jsonl"
    append_row(path, row(command="seq2seq evaluate \udcff"), require_clean=None)
    assert read_rows(path)[0]["command"] == "seq2seq evaluate \udcff"
    assert "seq2seq evaluate ?" in write_results(tmp_path).read_text()


def test_nothing_is_glued_to_a_line_that_was_cut_short(tmp_path):
    path = tmp_path / "results.jsonl"
    append_row(path, row(), require_clean=None)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:50])
    with pytest.raises(UserError, match=r"results\.jsonl:2: .*interrupted"):
        append_row(path, row(), require_clean=None)
    with pytest.raises(UserError, match=r"results\.jsonl:2: .*interrupted"):
        read_rows(path)
    assert path.read_bytes() == whole + whole[:50]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda one: "{", "invalid JSON"),
        (lambda one: "3", "not a JSON object"),
        (lambda one: json.dumps({**one, "seed": "x"}), "a 'seed' of the wrong type"),
        (lambda one: json.dumps({k: v for k, v in one.items() if k != "split"}), "no 'split'"),
        (lambda one: json.dumps({**one, "metrics": [{"name": "BLEU"}]}), "metric needs"),
        (
            lambda one: json.dumps(
                {**one, "metrics": [{"name": "BLEU", "value": "9", "signature": ""}]}
            ),
            "metric needs",
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path, spoil, message):
    path = tmp_path / "results.jsonl"
    append_row(path, row(), require_clean=None)
    with path.open("a") as file:
        file.write(spoil(row()) + "\n")
    with pytest.raises(UserError, match=rf"results\.jsonl:2: .*{message}"):
        read_rows(path)


def test_a_clean_tree_takes_row_after_row(tree):
    path = tree / "recipes" / "a" / "results.jsonl"
    (tree / "runs").mkdir()
    (tree / "runs" / "ignored").write_text("")
    (tree / "recipes" / "results.jsonl").write_text("")  # no figure is made of it
    for seed in (1, 2):
        append_row(path, row(seed=seed), require_clean=tree)
        write_results(path.parent)
    assert len(read_rows(path)) == 2


def changed(tree):
    (tree / "code.py").write_text("2\n")
    return "code.py"


def staged(tree):
    git(tree, "mv", "code.py", "moved.py")
    return "code.py, moved.py"


def untracked(tree):
    (tree / "ein neues.txt").write_text("")
    return "ein neues.txt"


def many(tree):
    for number in range(5):
        (tree / f"{number}.py").write_text("")
    return "0.py, 1.py, 2.py and 2 more"


@pytest.mark.parametrize("spoil", [changed, staged, untracked, many])
def test_a_dirty_tree_is_refused(tree, spoil):
    path = tree / "recipes" / "a" / "results.jsonl"
    names = spoil(tree)
    # Asked from below, it still answers for the whole tree.
    with pytest.raises(UserError) as caught:
        append_row(path, row(), require_clean=path.parent)
    assert f"({names})" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not path.exists()


def test_a_folder_outside_git_cannot_be_clean(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match="git cannot read the repository"):
        append_row(tmp_path / "results.jsonl", row(), require_clean=tmp_path)


def cells(page):
    lines = [line for line in page.split("\n") if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_has_every_row_its_signature_and_its_command():
    rows = [
        scored(30.0, command="one"),
        scored(25.5, decoding={"beam": 1, "length_penalty": 1.0}, command="two"),
        scored(31.0, seed=2, command="three"),
        row(variant="lm", decoding={}, scores=[Score("perplexity", 9.876, "")], command="four"),
    ]
    page = render_results(rows, "Results: a")
    assert page.startswith("# Results: a\n")
    head, rule, *table = cells(page)
    assert " ".join(head[:7]) == "# variant split decoding BLEU perplexity seed"
    assert head[7:] == ["parameters (M)", "training (min)", "lines/s", "hardware", "commit"]
    assert all(len(line) == len(head) for line in [rule, *table])
    assert table[0][:4] == ["1", "gru", "test", "beam 5, α 1.0"]
    assert table[0][4:10] == ["30.00", "–", "1", "7.65", "34.6", "500.0"]
    assert [line[0] for line in table] == ["1", "2", "", "3", "4"]
    spread = statistics.stdev([30.0, 31.0])
    assert table[2][3:7] == ["beam 5, α 1.0", f"30.50 ± {spread:.2f}", "–", "mean of 2"]
    assert [table[3][3], table[4][3], table[4][5]] == ["greedy", "–", "9.88"]
    assert page.count("`tok:13a`") == 1
    assert [page.index(f"```sh\n{one}\n```") for one in ("one", "three", "two", "four")] == sorted(
        page.index(f"```sh\n{one}\n```") for one in ("one", "three", "two", "four")
    )


def test_a_seed_that_was_run_again_counts_once():
    page = render_results([scored(1.0), scored(30.0), scored(32.0, seed=2)], "a")
    assert "31.00 ± 1.41" in page
    assert "mean of" not in render_results([scored(1.0), scored(30.0)], "a")
    more = [row(scores=[Score("papers", 8.0, "")], seed=seed) for seed in (1, 2)]
    page = render_results([scored(30.0), scored(32.0, seed=2), *more], "a")
    assert "31.00 ± 1.41 | 8.00 ± 0.00 | mean of 2" in page


def test_rows_that_were_counted_differently_say_so():
    other = row(scores=[Score("BLEU", 2.0, "tok:none")], variant="b")
    page = render_results([scored(1.0), other, {**other, "seed": 2}], "a")
    assert "- BLEU (row 1): `tok:13a`" in page
    assert "- BLEU (rows 2, 3): `tok:none`" in page


def test_markdown_stays_whole():
    page = render_results([scored(1.0, variant="a|b*c*", command="cat x | y ```z```")], "a")
    assert "| a\\|b\\*c\\* |" in page
    assert "````sh\ncat x | y ```z```\n````" in page
    assert len({line.replace("\\|", "").count("|") for line in page.split("\n")[2:5]}) == 1


def test_the_file_says_who_made_it(tree):
    folder = tree / "recipes" / "a"
    append_row(folder / "results.jsonl", row(), require_clean=tree)
    first, *rest = write_results(folder).read_text().split("\n")
    made_by = '<!-- made by "seq2seq results recipes/a" from results.jsonl; do not edit -->'
    assert first == made_by
    assert (
        "\n".join(rest).strip()
        == render_results([read_rows(folder / "results.jsonl")[0]], "Results: a").strip()
    )
    (folder / "results.jsonl").write_text("")
    assert "No results yet." in write_results(folder).read_text()


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(UserError, match=r"results\.jsonl: the file cannot be read"):
        write_results(tmp_path)


@pytest.mark.parametrize("folder", RECIPES, ids=lambda folder: folder.name)
def test_the_pages_of_the_recipes_are_made_of_their_rows(folder):
    head, _, page = (folder / "RESULTS.md").read_text().partition("\n\n")
    assert f'made by "seq2seq results recipes/{folder.name}"' in head
    assert page == render_results(read_rows(folder / "results.jsonl"), f"Results: {folder.name}")
