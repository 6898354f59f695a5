"""Score two baselines that use no grammar on the phrasebook's test set.

    python data/phrasebook/baselines.py [folder] [--json]

`nearest` copies the French of the training pair whose English is most similar to the input. `words`
translates word for word with a dictionary that IBM model 1 learns from the training pairs. Both
baselines translate test.en. sacreBLEU scores the translations (13a tokens, cased).
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from heapq import nsmallest
from math import log
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU

HERE = Path(__file__).resolve().parent
ROUNDS = 2  # rounds of expectation maximisation for IBM model 1
CLOSEST = 40  # number of training sentences that are compared word by word


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+(?:['-]\w+)*'?|[^\w\s]", text)


def read(folder: Path, name: str) -> list[str]:
    return (folder / name).read_text(encoding="utf-8").splitlines()


def nearest(train: list[tuple[str, str]], sources: list[str]) -> list[str]:
    """Return for each source the French of the most similar training pair.

    Shared rare words count more than shared frequent words. Among the best candidates, word order
    decides.
    """
    split = [source.split() for source, _ in train]
    index: dict[str, list[int]] = defaultdict(list)
    for i, words in enumerate(split):
        for word in dict.fromkeys(words):
            index[word].append(i)
    outputs = []
    for source in sources:
        words = source.split()
        scores: dict[int, float] = defaultdict(float)
        for word in dict.fromkeys(words):
            if len(index.get(word, ())) > len(train) / 8:
                continue  # a very frequent word tells little and is slow to look up
            weight = log(1 + len(train) / (1 + len(index.get(word, ()))))
            for i in index.get(word, ()):
                scores[i] += weight
        # dividing by the lengths stops long sentences from winning by chance matches
        shares = [(-score / (len(words) + len(split[i])), i) for i, score in scores.items()]
        best = max(
            (i for _, i in nsmallest(CLOSEST, shares)),
            key=lambda i: (SequenceMatcher(None, words, split[i], autojunk=False).ratio(), -i),
        )
        outputs.append(train[best][1])
    return outputs


def dictionary(train: list[tuple[str, str]]) -> dict[str, str]:
    """Return for each English word its most likely French word according to IBM model 1."""
    pairs = [(tokens(source.lower()), tokens(target.lower())) for source, target in train]
    table: dict[str, dict[str, float]] = {}
    for _ in range(ROUNDS):
        counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for english, french in pairs:
            old = [table[source] for source in english] if table else []
            new = [counts[source] for source in english]
            for target in french:
                weights = [row[target] for row in old] or [1.0] * len(english)
                total = sum(weights)
                for row, weight in zip(new, weights, strict=True):
                    row[target] += weight / total
        for row in counts.values():
            total = sum(row.values())
            for target in row:
                row[target] /= total
        table = counts
    return {source: min(row, key=lambda t: (-row[t], t)) for source, row in table.items()}


def substitute(meaning: dict[str, str], source: str) -> str:
    """Translate word for word, and join and capitalise the result as in French."""
    words = [meaning.get(word, word) for word in tokens(source.lower())]
    text = " ".join(words).replace("' ", "'")
    text = re.sub(r" ([.,])", r"\1", text)
    return text[0].upper() + text[1:]


def names(train: list[tuple[str, str]]) -> dict[str, str]:
    """Return the capitalised form of each lower-cased French word that is mostly capitalised.

    The first word of a sentence does not count, so these words are names.
    """
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for _, target in train:
        for word in tokens(target)[1:]:
            seen[word.lower()][word] += 1
    best = {low: min(forms, key=lambda w: (-forms[w], w)) for low, forms in seen.items()}
    return {low: word for low, word in best.items() if low != word}


def run(folder: Path = HERE) -> dict[str, object]:
    """Return the BLEU of both baselines and the signature of the metric."""
    train = list(zip(read(folder, "train.en"), read(folder, "train.fr"), strict=True))
    sources, references = read(folder, "test.en"), read(folder, "test.fr")
    capitals = names(train)
    meaning = {word: capitals.get(found, found) for word, found in dictionary(train).items()}
    metric = BLEU()
    copied = metric.corpus_score(nearest(train, sources), [references]).score
    worded = metric.corpus_score([substitute(meaning, s) for s in sources], [references]).score
    signature = str(metric.get_signature())
    return {"nearest": round(copied, 2), "words": round(worded, 2), "signature": signature}


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Score two baselines on the phrasebook's test set."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    parser.add_argument("--json", action="store_true", help="Print the scores as one JSON object.")
    arguments = parser.parse_args()
    scores = run(arguments.folder)
    if arguments.json:
        print(json.dumps(scores))
        return
    print(f"nearest training pair, copied: {scores['nearest']} BLEU")
    print(f"word for word:                 {scores['words']} BLEU")
    print(scores["signature"])


if __name__ == "__main__":
    main()
