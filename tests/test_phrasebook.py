"""The corpus that ships with the project: reproducible, clean, honestly split, and not too easy."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "data" / "phrasebook"
SPLITS = {"train": 20_000, "valid": 500, "test": 500}
NAMES = [f"{split}.{side}" for split in SPLITS for side in ("en", "fr")]
VOWEL = "aàâeéèêëiîïoôuùûyœ"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"phrasebook_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def lines(name: str) -> list[str]:
    text = (FOLDER / name).read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return text.split("\n")[:-1]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return load("generate")


@pytest.fixture(scope="module")
def pairs(generate: ModuleType) -> list[Any]:
    built: list[Any] = generate.build()
    return built


@pytest.fixture(scope="module")
def french() -> list[str]:
    return [line for split in SPLITS for line in lines(f"{split}.fr")]


@pytest.fixture(scope="module")
def english() -> list[str]:
    return [line for split in SPLITS for line in lines(f"{split}.en")]


def test_regenerating_gives_the_same_bytes(
    generate: ModuleType, pairs: list[Any], tmp_path: Path
) -> None:
    generate.write(tmp_path, pairs)
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


@pytest.mark.parametrize("split", SPLITS)
def test_sizes(split: str) -> None:
    assert len(lines(f"{split}.en")) == len(lines(f"{split}.fr")) == SPLITS[split]


@pytest.mark.parametrize("side", ["en", "fr"])
def test_no_sentence_is_in_two_splits(side: str) -> None:
    train, valid, test = (set(lines(f"{split}.{side}")) for split in SPLITS)
    assert not train & valid
    assert not train & test
    assert not valid & test


def test_each_english_sentence_has_one_french(english: list[str], french: list[str]) -> None:
    assert len(english) == len(french)
    assert len(set(english)) == len(english)


def test_the_examples_of_the_readme_are_in_the_corpus(
    english: list[str], french: list[str]
) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    table = readme.split("| English | French |")[1].split("##")[0]
    examples = re.findall(r"^\| (\w[^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    assert len(examples) == 10
    assert set(examples) <= set(zip(english, french, strict=True))


def test_templates_and_words_are_many(generate: ModuleType, pairs: list[Any]) -> None:
    train = [pair for pair in pairs if pair.split == "train"]
    assert len({pair.template for pair in train}) == len(generate.templates()) >= 60
    assert len({word for pair in train for word in pair.words}) >= 600


def test_combinations_are_held_out_as_a_whole(pairs: list[Any]) -> None:
    trained = {
        (pair.template, word) for pair in pairs if pair.split == "train" for word in pair.words
    }
    words = {word for _, word in trained}
    combinations = {
        split: {(pair.template, pair.key) for pair in pairs if pair.split == split and pair.novel}
        for split in ("valid", "test")
    }
    for split in ("valid", "test"):
        novel = sum(pair.novel for pair in pairs if pair.split == split)
        assert novel >= 0.2 * SPLITS[split]
    for held in combinations.values():
        assert not held & trained
        assert all(word in words for _, word in held), "a held-out word occurs elsewhere in train"
    assert not combinations["valid"] & combinations["test"]


@pytest.mark.parametrize("side", ["en", "fr"])
def test_every_form_of_valid_and_test_is_in_train(side: str) -> None:
    seen = {form for line in lines(f"train.{side}") for form in re.findall(r"\w+", line)}
    for split in ("valid", "test"):
        found = {form for line in lines(f"{split}.{side}") for form in re.findall(r"\w+", line)}
        assert found <= seen


def test_sentences_are_clean(english: list[str], french: list[str]) -> None:
    for line in english + french:
        assert line == line.strip()
        assert not re.search(r"  |[{}*^/#_|]|\bNone\b", line), line
        assert re.match(r"[A-ZÀÉÊ]", line), line
        assert line[-1] in ".?!", line
    for line in english:
        assert re.fullmatch(r"[A-Za-zéÉ' ,.:?!]+", line.replace("è", "é")), line
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]", line, re.IGNORECASE), line


def test_french_spacing_of_marks(french: list[str]) -> None:
    for line in french:
        assert not re.search(r"[^ ][?!:]| [.,]", line), line


def test_french_elision(french: list[str]) -> None:
    little = r"(?<![\w'-])(?:je|me|te|se|le|la|ne|de|que|ce)"
    hiatus = re.compile(
        rf"{little} (?=[{VOWEL}]|h(?!arp|arico|éris|ibou|uit|ockey))", re.IGNORECASE
    )
    wrong = re.compile(r"\b(?:si ils?|[ldjnmscq]u?'[bcdfgjklmnpqrstvwxz])\b", re.IGNORECASE)
    aspirated = re.compile(r"'(?:harp|haricot|hériss|hibou|huit|hockey|onze|yaourt)")
    allowed = re.compile(r"\b(?:le|de|que) (?:onze|yaourt)", re.IGNORECASE)
    for line in french:
        assert not hiatus.search(allowed.sub("", line)), line
        assert not wrong.search(line), line
        assert not aspirated.search(line), line


def test_french_contraction_and_determiners(french: list[str]) -> None:
    euphonic = re.compile(rf"\b(?:au|ce|ma|sa|un (?:beau|nouveau|vieux)) (?=[{VOWEL}])")
    for line in french:
        assert not re.search(r"\b(?:à|de) les? ", line, re.IGNORECASE), line
        assert not euphonic.search(line), line
        assert not re.search(r"\bdes (?:petit|grand|vieux|vieille|beau|belle|nouve|joli)", line), (
            line
        )


def test_negation_comes_in_two_parts(french: list[str]) -> None:
    second = re.compile(r"\b(?:pas|jamais|plus|rien|personne)\b")
    for line in french:
        if re.search(r"\b[Nn](?:e |')", line):
            assert second.search(line), line


def test_the_grammar_conjugates(generate: ModuleType) -> None:
    persons = generate.PERSONS

    def say(lemma: str, form: str, who: str) -> tuple[str, str]:
        verb = generate.choose("verb", lemma)[0]
        subject = persons[who]
        english = f"{subject.en} {generate.en_verb(verb, form, subject)}"
        french = f"{subject.fr} {generate.fr_verb(verb, form, subject)}"
        return generate.en_finish(english), generate.fr_finish(french)

    assert say("eat", "impf", "we") == ("We ate", "Nous mangions")
    assert say("eat", "pres", "we") == ("We eat", "Nous mangeons")
    assert say("buy", "fut", "she") == ("She will buy", "Elle achètera")
    assert say("prefer", "fut", "I") == ("I will prefer", "Je préférerai")
    assert say("call", "pres-not", "he") == ("He does not call", "Il n'appelle pas")
    assert say("clean", "cond", "they") == ("They would clean", "Ils nettoieraient")
    assert say("get up", "past", "she") == ("She got up", "Elle s'est levée")
    assert say("be born", "past", "they f") == ("They were born", "Elles sont nées")
    assert say("see", "past-nobody", "I") == ("I did not see anyone", "Je n'ai vu personne")
    assert say("swim", "was", "you") == ("You were swimming", "Vous nagiez")
    assert say("cry", "pres", "he") == ("He cries", "Il pleure")


@pytest.fixture(scope="module")
def scores() -> dict[str, float]:
    found: dict[str, float] = load("baselines").run(FOLDER)
    return found


def test_copying_the_nearest_pair_is_not_enough(scores: dict[str, float]) -> None:
    assert 20 < scores["nearest"] <= 60


def test_word_for_word_is_not_enough(scores: dict[str, float]) -> None:
    assert 10 < scores["words"] <= 40
