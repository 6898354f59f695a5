"""Generate the phrasebook corpus: English-French sentence pairs from a small grammar.

    python data/phrasebook/generate.py [folder]

The words are in `words/*.tsv` and the sentences in `templates.txt`. This script contains the
English and French morphology, the sampling of words, and the split. It needs only the standard
library. All random numbers come from `random.Random.random()`, whose sequence Python promises to
keep, so every run writes the same bytes on every version of Python.
"""

import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).resolve().parent
SEED = 20
SIZES = {"train": 20_000, "valid": 500, "test": 500}
SKEW = 3.5  # 1: words are equally frequent; larger: the first words of a table are more frequent
SEEN = 30  # minimum number of times that train contains each word form of valid and test
NOVEL = 1 / 3  # share of held-out combinations in valid and test; the rest are new sentences
TRIES = 60  # attempts to fill a template before the template is skipped once
T = TypeVar("T")


# ---- the tables of words


@dataclass(frozen=True)
class Word:
    """One line of a table: a lemma in both languages. `extra` holds the other columns."""

    kind: str
    group: str
    en: str
    fr: str
    extra: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.en}"


def rows(name: str) -> Iterator[tuple[str, list[str]]]:
    group = ""
    for line in (HERE / "words" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            group = line.strip("[]")
        elif line and not line.startswith("#"):
            yield group, line.split("\t")


@cache
def table(kind: str) -> tuple[Word, ...]:
    files = {"noun": ["nouns.tsv", "places.tsv"], "adj": ["adjectives.tsv"]}
    files |= {"verb": ["verbs.tsv"], "word": ["phrases.tsv"], "name": ["names.tsv"]}
    return tuple(
        Word(kind, group, cells[0], cells[1], tuple(cells[2:]))
        for file in files[kind]
        for group, cells in rows(file)
    )


@cache
def choose(kind: str, names: str) -> tuple[Word, ...]:
    """Return the words of a kind that `a|b|c` names by group or by lemma.

    The lemma `eat` also finds the entry `eat/ate`.
    """
    found: list[Word] = []
    for name in names.split("|"):
        hits = [w for w in table(kind) if name in (w.group, w.en.split("/")[0])]
        if not hits:
            raise ValueError(f"no {kind} has the group or lemma {name!r}")
        found += {w.id: w for w in hits if w.id not in [f.id for f in found]}.values()
    return tuple(found)


# ---- persons


@dataclass(frozen=True)
class Person:
    """A grammatical person, with its pronouns and possessives in both languages."""

    en: str
    en_object: str
    en_own: str
    fr: str
    direct: str
    indirect: str
    reflexive: str
    stressed: str
    fr_own: tuple[str, ...]
    number: int  # 0 to 5: je, tu, il, nous, vous, ils
    feminine: bool

    @property
    def plural(self) -> bool:
        return self.number > 2

    @property
    def third(self) -> bool:
        return self.number == 2


def persons() -> dict[str, Person]:
    found = {}
    for _, (name, *texts, own, number, gender) in rows("pronouns.tsv"):
        en, en_object, en_own, fr, direct, indirect, reflexive, stressed = texts
        english, french = (en, en_object, en_own), (fr, direct, indirect, reflexive, stressed)
        owns = tuple(own.split("/"))
        found[name] = Person(*english, *french, owns, int(number), gender == "f")
    return found


PERSONS = persons()


# ---- English morphology


def en_plural(noun: str) -> str:
    base, _, given = noun.partition("/")
    return given or en_s(base)


def en_s(word: str) -> str:
    """Add the -s of a plural noun or of a verb in the third person singular."""
    head, space, tail = word.partition(" ")
    if tail and head in EN_FIRST:  # in a verb of several words, the first word changes
        return en_s(head) + space + tail
    if word in ("have", "do", "go"):
        return {"have": "has", "do": "does", "go": "goes"}[word]
    if re.search(r"(s|x|z|sh|ch)$", word):
        return word + "es"
    return re.sub(r"([^aeiou])y$", r"\1ie", word) + "s"


EN_FIRST = ("look", "listen", "wait", "come", "go", "get", "wake", "fall")
EN_DOUBLE = ("cut", "get", "run", "swim", "travel", "forget", "put")


def en_ing(word: str) -> str:
    head, space, tail = word.partition(" ")
    head += head[-1] if head in EN_DOUBLE else ""
    return (re.sub(r"([^e])e$", r"\1", head) if head != "be" else head) + "ing" + space + tail


def en_past(base: str, given: str) -> str:
    if given:
        return given
    head, space, tail = base.partition(" ")
    return re.sub(r"([^aeiou])y$", r"\1ie", head).removesuffix("e") + "ed" + space + tail


def en_be(who: Person, past: bool) -> str:
    if past:
        return "was" if who.number in (0, 2) else "were"
    return "am" if who.number == 0 else "is" if who.third else "are"


def en_verb(verb: Word, form: str, who: Person) -> str:
    """Conjugate an English verb.

    `form` is a tense or a tense with a negation: past, past-not, pres-never, fut-nobody.
    """
    tense, _, negation = form.partition("-")
    base, _, given = verb.en.replace("#2", "").partition("/")
    past = en_past(base, given)
    if who.number not in (0, 2) and past.startswith("was "):
        past = past.replace("was ", "were ")
    no = negation in ("not", "nothing", "nobody")
    simple_past = tense in ("past", "impf")
    pairs = {
        "prog": (en_be(who, False), en_ing(base)),
        "was": (en_be(who, True), en_ing(base)),
        "fut": ("will", base),
        "cond": ("would", base),
        "going": (en_be(who, False), f"going to {base}"),
        "used": ("used to", base),
        "inf": ("", base),
        "bare": ("", base),
        "ing": ("", en_ing(base)),
        "pp": ("", past),
        "imp": ("do" if no else "", base),
    }
    if tense in pairs:
        helper, main = pairs[tense]
    elif base == "be":
        helper, main = en_be(who, simple_past), ""
    elif base in ("can", "must"):
        helper, main = base, ""
    elif no:
        helper, main = ("did" if simple_past else "does" if who.third else "do"), base
    else:
        helper, main = "", (past if simple_past else en_s(base) if who.third else base)
    middle = "not" if no else {"never": "never", "nomore": "no longer"}.get(negation, "")
    after = {"nothing": "anything", "nobody": "anyone"}.get(negation, "")
    return " ".join(filter(None, (helper, middle, main, after))).replace("can not", "cannot")


def en_helper(form: str, who: Person) -> str:
    """Return the auxiliary verb that begins a question."""
    fixed = {"past": "did", "fut": "will", "cond": "would"}
    return fixed.get(form) or ("does" if who.third else "do")


def en_finish(text: str) -> str:
    text = re.sub(r" +", " ", text).strip()
    text = re.sub(r"\b([Aa]) (?=[aeio]|u(?!seful|niv)|hon|hour)", r"\1n ", text)
    return re.sub(r"(^|[?!] )(\w)", lambda m: m[1] + m[2].upper(), text)


# ---- French morphology


@cache
def conjugations() -> dict[str, list[str]]:
    return {cells[0]: cells[1:] for _, cells in rows("conjugations.tsv")}


@cache
def fr_stems(infinitive: str) -> tuple[list[str], str, str]:
    """Return the present tense (six persons), the past participle and the future stem."""
    if infinitive in conjugations():
        six, participle, future = conjugations()[infinitive]
        return six.split(), participle, future
    stem = infinitive[:-2]
    if infinitive.endswith("ir"):
        return (
            [stem + e for e in ("is", "is", "it", "issons", "issez", "issent")],
            stem + "i",
            infinitive,
        )
    if infinitive.endswith("re"):
        return [stem + e for e in ("s", "s", "", "ons", "ez", "ent")], stem + "u", infinitive[:-1]
    soft = re.sub("c$", "ç", re.sub("g$", "ge", stem))
    strong = "appell" if stem == "appel" else re.sub(r"[eé]([^aeiouéèê])$", r"è\1", stem)
    strong = re.sub(r"([ou])y$", r"\1i", strong)
    present = [strong + "e", strong + "es", strong + "e", soft + "ons", stem + "ez", strong + "ent"]
    return present, stem + "é", (stem if "é" in stem[-2:] else strong) + "er"


def fr_simple(infinitive: str, tense: str, number: int) -> str:
    present, _, future = fr_stems(infinitive)
    if tense in ("pres", "prog"):
        return present[number]
    if tense == "imp":
        return {"être": "soyez", "avoir": "ayez"}.get(infinitive, present[4])
    if tense == "fut":
        return future + ("ai", "as", "a", "ons", "ez", "ont")[number]
    ending = ("ais", "ais", "ait", "ions", "iez", "aient")[number]
    if tense == "cond":
        return future + ending
    stem = "ét" if infinitive == "être" else present[3].removesuffix("ons")
    stem = re.sub("ge$", "g", stem) if ending[0] == "i" else stem
    return (re.sub("ç$", "c", stem) if ending[0] == "i" else stem) + ending


def fr_agree(participle: str, who: Person) -> str:
    participle += "e" if who.feminine else ""
    return participle + ("s" if who.plural and participle[-1] != "s" else "")


def fr_verb(
    verb: Word, form: str, who: Person, clitic: str = "", over: Person | None = None
) -> str:
    """Conjugate a French verb with its negation and its object pronoun.

    clitic: the object pronoun before the verb.
    over: a direct object before the verb, with which the participle agrees.
    """
    tense, _, negation = form.partition("-")
    reflexive, infinitive = re.fullmatch(r"(s'|se )?(.*)", verb.fr).groups()  # type: ignore[union-attr]
    before = " ".join(filter(None, (who.reflexive if reflexive else "", clitic and clitic + "^")))
    ne = "ne" if negation else ""
    words = {"not": "pas", "never": "jamais", "nomore": "plus", "nothing": "rien"}
    pas, after = words.get(negation, ""), "personne" if negation == "nobody" else ""
    if tense in ("inf", "ing", "bare"):
        parts = [ne, pas, before, infinitive, after]
    elif tense == "past":
        moving = bool(reflexive) or "être" in verb.extra
        helper = fr_simple("être" if moving else "avoir", "pres", who.number)
        participle = fr_stems(infinitive)[1]
        agrees = who if moving else over
        participle = fr_agree(participle, agrees) if agrees else participle
        parts = [ne, before, helper, pas, participle, after]
    elif tense == "going":
        parts = [ne, fr_simple("aller", "pres", who.number), pas, before, infinitive, after]
    elif tense == "imp" and not negation and before:
        hyphen = {"me": "moi"}.get(clitic, clitic) or "vous"
        parts = [f"{fr_simple(infinitive, tense, 4)}-{hyphen}"]
    else:
        simple = "impf" if tense in ("was", "used") else tense
        parts = [ne, before, fr_simple(infinitive, simple, who.number), pas, after]
    return " ".join(filter(None, parts))


def fr_plural(noun: str) -> str:
    base, _, given = noun.partition("/")
    if given:
        return given
    return base if base[-1] in "sxz" else base + ("x" if base.endswith("eau") else "s")


def fr_adjective(adjective: Word, feminine: bool, plural: bool, following: str = "") -> str:
    forms = adjective.fr.split("/")
    if feminine:
        return forms[1] + ("s" if plural else "")
    if plural:
        return forms[3] if len(forms) > 3 else fr_plural(forms[0])
    return forms[2] if len(forms) > 2 and fr_vowel(following) else forms[0]


def fr_vowel(text: str) -> bool:
    return bool(re.match(r"[aàâeéèêiîoôuùûhyœ]", text, re.IGNORECASE))


def fr_finish(text: str) -> str:
    """Apply elision and contraction, and capitalise the sentence.

    A star marks an aspirated h. A hat marks a pronoun that never contracts.
    """
    text = re.sub(r" +", " ", text).strip()
    vowel = r"(?=[aàâeéèêiîoôuùûhyœAEÉIOUH])"
    little = r"(?<![\w'-])([jJ]e|[mM]e|[sS]e|[lL][ea]|[nN]e|[dD]e|(?:[pP]arce )?[qQ]ue)\^? "
    text = re.sub(little + vowel, lambda m: m[1][:-1] + "'", text)
    text = re.sub(r"\b([Ss])i (?=ils?\b)", r"\1'", text)
    for preposition, le, les in (("à", "au", "aux"), ("de", "du", "des")):
        text = re.sub(rf"\b{preposition} le (?!\^)", le + " ", text, flags=re.IGNORECASE)
        text = re.sub(rf"\b{preposition} les (?!\^)", les + " ", text, flags=re.IGNORECASE)
    text = text.replace("*", "").replace("^", "")
    return re.sub(r"(^|[?!] )(\w)", lambda m: m[1] + m[2].upper(), text)


# ---- what fills a slot


@dataclass(frozen=True)
class Filler:
    """A drawn slot: its text in each language, and the person that other words agree with."""

    en: str
    fr: str
    person: Person
    words: tuple[Word, ...] = ()
    noun: Word | None = None
    form: str = ""


def fr_determiner(det: str, fem: bool, plural: bool, following: str, own: Person, adj: bool) -> str:
    """The French determiner; `de le` and the like are contracted at the end."""
    pick = 2 if plural else int(fem)
    if det in ("the", "gen", "all"):
        article = ("le", "la", "les")[pick]
        return article if det != "all" else ("toutes " if fem else "tous ") + article
    if det == "a":
        return ("un", "une", "de" if adj else "des")[pick]
    if det in ("some", "part"):
        return ("de le", "de la", "de" if adj else "des")[pick]
    if det == "this":
        return "cet" if pick == 0 and fr_vowel(following) else ("ce", "cette", "ces")[pick]
    if det == "own":
        return own.fr_own[0] if pick == 1 and fr_vowel(following) else own.fr_own[pick]
    if det == "what":
        return ("quel", "quelle", "quels", "quelles")[2 * plural + fem]
    return {"any": "de", "none": "de", "nota": "de"}.get(det, "")


def en_determiner(det: str, plural: bool, own: Person) -> str:
    if det == "a" or det == "some":
        return "some" if plural or det == "some" else "a"
    if det == "what":
        return "what" if plural else "what a"
    fixed = {
        "the": "the",
        "all": "all the",
        "this": "these" if plural else "this",
        "own": own.en_own,
    }
    return (fixed | {"any": "any", "nota": "a", "prof": "a"}).get(det, "")


MASS = ("food", "drink", "seasoning")  # nouns without a plural


def noun_phrase(
    noun: Word, det: str, adjectives: Sequence[Word], own: Person, count: Word | None
) -> Filler:
    """Determiner (with a + for the plural), adjectives and noun, agreeing in both languages."""
    gender = noun.extra[0]
    det, plural = det.rstrip("+"), det.endswith("+") or "p" in gender or count is not None
    plural = plural and noun.group not in MASS
    feminine = gender.startswith("f")
    fr_noun = fr_plural(noun.fr) if plural else noun.fr.partition("/")[0]
    en_noun = en_plural(noun.en) if plural and "p" not in gender else noun.en.partition("/")[0]
    before = [a for a in adjectives if a.extra]
    after = [a for a in adjectives if not a.extra]
    french = fr_noun
    for adjective in reversed(before):
        french = f"{fr_adjective(adjective, feminine, plural, french)} {french}"
    article = fr_determiner(det, feminine, plural, french, own, bool(before))
    for i, adjective in enumerate(reversed(after)):
        french += (" et " if i else " ") + fr_adjective(adjective, feminine, plural)
    english = " ".join([*(a.en for a in adjectives), en_noun])
    if count is not None:
        article, number = f"{article} {count.fr}", count.en
    else:
        number = ""
    human = noun.group in ("job", "family", "parent", "person")
    name = "they" if plural else "he" if human else "it"
    if feminine:
        name = {"he": "she", "it": "it f", "they": "they f"}[name]
    words = (noun, *adjectives, *([count] if count else []))
    en_text = " ".join(filter(None, (en_determiner(det, plural, own), number, english)))
    return Filler(en_text, f"{article} {french}".strip(), PERSONS[name], words, noun)


@dataclass
class Draw:
    """The sampling of one sentence: the random generator and the slots filled so far."""

    rng: random.Random
    forced: dict[str, Word] = field(default_factory=dict)
    slots: dict[str, Filler] = field(default_factory=dict)

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.rng.random() * len(items))]

    def often(self, items: Sequence[T]) -> T:
        """Sample an item; the first items are more frequent than the last (Zipf 1935)."""
        return items[int(self.rng.random() ** SKEW * len(items))]

    def fresh(self, name: str, items: Sequence[Word]) -> Word:
        """Sample a word that is not in the sentence yet, or return the forced word of the slot."""
        if name in self.forced:
            return self.forced[name]
        used = [w.id for filler in self.slots.values() for w in filler.words]
        return self.often([w for w in items if w.id not in used])

    def fill(self, name: str, spec: str) -> None:
        kind, *rest = spec.split(" ", 1)
        self.slots[name] = getattr(self, f"draw_{kind}")(name, *rest)

    def draw_word(self, name: str, spec: str) -> Filler:
        word = self.fresh(name, choose("word", spec))
        return Filler(word.en, word.fr, PERSONS["it"], (word,))

    def draw_adj(self, name: str, spec: str) -> Filler:
        word = self.fresh(name, choose("adj", spec))
        return Filler(word.en, word.fr, PERSONS["it"], (word,), word)

    def draw_verb(self, name: str, spec: str) -> Filler:
        names, forms = (part.strip() for part in spec.split(":"))
        word = self.fresh(name, choose("verb", names))
        return Filler("", "", PERSONS["it"], (word,), word, self.pick(forms.split(",")))

    def draw_np(self, name: str, spec: str) -> Filler:
        """Fill a slot with a noun phrase: `np CLASSES DETERMINERS [adj:SET ...] [like:SLOT]`.

        The determiner `own:s` is the possessive of the slot s.
        """
        classes, dets, *options = spec.split()
        nouns = choose("noun", classes.replace("_", " "))
        likes = [self.slots[o[5:]] for o in options if o.startswith("like:")]
        nouns = tuple(
            n for n in nouns if not likes or (n.extra[0] == "f") == likes[0].person.feminine
        )
        noun = self.fresh(name, nouns)
        if noun not in nouns:
            raise IndexError("the forced word has the wrong gender")
        det, _, owner = self.pick(dets.split(",")).partition(":")
        own = self.slots[owner].person if owner else PERSONS[self.pick(list(PERSONS)[:6])]
        sets = [choose("adj", o[4:].replace("_", " ")) for o in options if o.startswith("adj:")]
        maybe = [choose("adj", o[5:].replace("_", " ")) for o in options if o.startswith("adj?:")]
        sets += [s for s in maybe if self.rng.random() < 0.4]
        count = self.pick(choose("word", "few")) if det == "num" else None
        return noun_phrase(noun, det, [self.often(s) for s in sets], own, count)

    def draw_name(self, name: str) -> Filler:
        word = self.fresh(name, table("name"))
        return Filler(
            word.en, word.fr, PERSONS["he" if word.extra[0] == "m" else "she"], (word,), word
        )

    def draw_pron(self, name: str, spec: str) -> Filler:
        taken = [filler.person.en for filler in self.slots.values()]
        taken += ["I", "we"] if "I" in taken or "we" in taken else []
        person = PERSONS[self.pick([p for p in spec.split("|") if p not in taken])]
        return Filler(person.en, person.fr, person)

    def draw_kin(self, name: str) -> Filler:
        return self.draw_np(name, self.pick(("family|parent own",) * 3 + ("family own+",)))

    def draw_job(self, name: str) -> Filler:
        return self.draw_np(
            name, "job|man|woman|boy|girl|child " + self.pick(("the", "the", "the+"))
        )

    def draw_pair(self, name: str) -> Filler:
        one, two = self.draw_name(name), self.draw_name(name)
        if one.en == two.en:
            return one
        both = one.person.feminine and two.person.feminine
        person = PERSONS["they f" if both else "they"]
        return Filler(
            f"{one.en} and {two.en}", f"{one.fr} et {two.fr}", person, one.words + two.words
        )

    def draw_who(self, name: str) -> Filler:
        if self.rng.random() < 0.6:
            return self.draw_pron(name, "I|you|he|she|we|they")
        return self.draw_human(name)

    def draw_ask(self, name: str) -> Filler:
        if self.rng.random() < 0.5:
            return self.draw_pron(name, "you|you|he|she|they")
        return self.draw_human(name)

    def draw_third(self, name: str) -> Filler:
        return (
            self.draw_pron(name, "he|she|they")
            if self.rng.random() < 0.3
            else self.draw_human(name)
        )

    def draw_human(self, name: str) -> Filler:
        draws = [self.draw_name] * 8 + [self.draw_kin] * 5 + [self.draw_job] * 4 + [self.draw_pair]
        return self.pick(draws)(name)

    def draw_single(self, name: str) -> Filler:
        return (
            self.draw_name(name)
            if self.rng.random() < 0.5
            else self.draw_np(name, "family|parent own")
        )


# ---- templates


@dataclass(frozen=True)
class Template:
    """A template: `@name key : slot=kind ... ; slot=...`, an English line and a French line."""

    name: str
    key: str
    slots: dict[str, str]
    en: str
    fr: str

    def key_words(self) -> tuple[Word, ...]:
        kind, spec = self.slots[self.key].split(" ", 1)
        if kind == "np":
            return choose("noun", spec.split()[0].replace("_", " "))
        return choose(kind, spec.split(":")[0].strip())

    def all_words(self) -> Iterator[Word]:
        """Yield every word that can fill a slot of the template."""
        for spec in self.slots.values():
            kind, _, rest = spec.partition(" ")
            if kind == "np":
                yield from choose("noun", rest.split()[0].replace("_", " "))
                for names in re.findall(r"adj\??:(\S+)", rest):
                    yield from choose("adj", names.replace("_", " "))
            elif kind in ("verb", "adj", "word"):
                yield from choose(kind, rest.split(":")[0].strip())


def templates() -> list[Template]:
    text = (HERE / "templates.txt").read_text(encoding="utf-8")
    found = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if lines:
            head, english, french = lines
            name, key, specs = re.fullmatch(r"@(\S+) (\S+) : (.*)", head).groups()  # type: ignore[union-attr]
            slots = dict(spec.strip().split("=", 1) for spec in specs.split(";"))
            found.append(Template(name, key, slots, english, french))
    return found


def expand(code: str, slots: dict[str, Filler], french: bool) -> str:
    """Return the text of one `{...}` of a template.

    The name in the braces is a slot, or the lemma of a verb or an adjective.
    """
    head, *arguments = code.split()
    name, _, form = head.partition(".")
    filler = slots.get(name)
    subject = slots[arguments[0]].person if arguments else PERSONS["it"]
    lemma = name.replace("_", " ")
    word = (
        filler.noun
        if filler
        else next(w for w in table("verb") + table("adj") if lemma == w.en.split("/")[0])
    )
    if word and word.kind == "verb":
        form = form or (filler.form if filler else "")
        if form == "aux":
            return en_helper(filler.form if filler else "pres", subject)
        if not french:
            return en_verb(word, form, subject)
        clitic, over = "", None
        if len(arguments) > 1:
            target, _, case = arguments[1].partition(".")
            over = slots[target].person if case != "ind" else None
            clitic = {"dir": slots[target].person.direct, "ind": slots[target].person.indirect}.get(
                case, ""
            )
        return fr_verb(word, form, subject, clitic, over)
    if word and word.kind == "adj":
        return fr_adjective(word, subject.feminine, subject.plural) if french else word.en
    assert filler is not None
    return nominal(filler, form, french)


def nominal(filler: Filler, form: str, french: bool) -> str:
    """Return one form of a noun phrase, a name or a pronoun."""
    person, noun = filler.person, filler.noun
    if form in ("in", "to") and noun is not None:
        english, there = ("to", "à") if form == "to" else (noun.extra[1], noun.extra[2])
        return f"{there} {filler.fr}" if french else f"{english} {filler.en}"
    if form == "bare":
        return filler.en.removeprefix("the ")
    if form == "pro":
        return person.fr if french else person.en
    if form == "obj":  # after a preposition, or for an English object whose French is a clitic
        return person.stressed if french else person.en_object
    return filler.fr if french else filler.en


def realise(template: Template, draw: Draw) -> tuple[str, str]:
    for name, spec in template.slots.items():
        draw.fill(name, spec)
    english = re.sub(r"\{([^}]*)\}", lambda m: expand(m[1], draw.slots, False), template.en)
    french = re.sub(r"\{([^}]*)\}", lambda m: expand(m[1], draw.slots, True), template.fr)
    return en_finish(english), fr_finish(french)


# ---- the split


@dataclass(frozen=True)
class Pair:
    en: str
    fr: str
    split: str
    template: str
    key: str
    words: tuple[str, ...]
    novel: bool  # a held-out combination of template and key word


def hold_out(pages: list[Template], rng: random.Random) -> dict[str, dict[str, list[Word]]]:
    """Choose for each template the key words that only valid or only test may combine with it.

    Each word is held out from few templates only, so that train contains it in others.
    """
    homes: Counter[str] = Counter()
    for page in pages:
        homes.update(list(dict.fromkeys(w.id for w in page.all_words())))
    held: Counter[str] = Counter()
    chosen = {}
    for page in pages:
        words = [w for w in page.key_words() if homes[w.id] >= 2 + 2 * held[w.id]]
        words.sort(key=lambda w: rng.random())
        words.sort(key=lambda w: held[w.id])
        size = max(1, min(4, len(page.key_words()) // 8))
        if len(words) < 2 * size:
            raise ValueError(f"{page.name}: other templates share too few of its key words")
        held.update(w.id for w in words[: 2 * size])
        chosen[page.name] = {"valid": words[:size], "test": words[size : 2 * size], "train": []}
    return chosen


def forms(text: str) -> list[str]:
    return re.findall(r"\w+", text)


class Corpus:
    """The pairs generated so far. Train is first; valid and test use only word forms of train."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.pages = templates()
        self.held = hold_out(self.pages, self.rng)
        self.pairs: list[Pair] = []
        self.english: dict[str, str] = {}
        self.split_of: dict[str, str] = {}  # maps a French sentence to its split
        self.seen: Counter[str] = Counter()  # counts of the word forms in train, both languages

    def grow(self, split: str, size: int) -> None:
        """Add one sentence of each template in turn, until the split has `size` more pairs."""
        goal = len(self.pairs) + size
        while len(self.pairs) < goal:
            before = len(self.pairs)
            for page in self.pages[: goal - before]:
                self.add(page, split)
            if len(self.pairs) == before:
                raise RuntimeError(f"the templates have no more new sentences for {split}")

    def add(self, page: Template, split: str) -> None:
        """Add one new sentence of a template, if TRIES attempts find one."""
        held = self.held[page.name]
        kept_out = {w.id for w in held["valid"] + held["test"]}
        novel = split != "train" and self.rng.random() < NOVEL
        for _ in range(TRIES):
            draw = Draw(self.rng)
            if novel:
                draw.forced[page.key] = draw.pick(held[split])
            try:
                english, french = realise(page, draw)
            except IndexError:  # no word is left for a slot
                continue
            words = tuple(w.id for filler in draw.slots.values() for w in filler.words)
            if not novel and kept_out.intersection(words):
                continue
            if self.english.get(english, french) != french:
                raise ValueError(f"{english!r} has a second translation: {french!r}")
            if english in self.english or self.split_of.get(french, split) != split:
                continue
            if split == "train":
                self.seen.update(forms(f"{english} {french}"))
            elif any(self.seen[form] < SEEN for form in forms(f"{english} {french}")):
                continue
            self.english[english] = french
            self.split_of[french] = split
            key = draw.slots[page.key].words[0].id
            self.pairs.append(Pair(english, french, split, page.name, key, words, novel))
            return


def build(seed: int = SEED) -> list[Pair]:
    """Return all pairs of the corpus in random order."""
    corpus = Corpus(seed)
    for split, size in SIZES.items():
        corpus.grow(split, size)
    return sorted(corpus.pairs, key=lambda pair: corpus.rng.random())


def write(folder: Path, pairs: list[Pair]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split in SIZES:
        for side in ("en", "fr"):
            lines = [getattr(pair, side) + "\n" for pair in pairs if pair.split == split]
            (folder / f"{split}.{side}").write_bytes("".join(lines).encode("utf-8"))


def summary(pairs: list[Pair]) -> str:
    train = [pair for pair in pairs if pair.split == "train"]
    lemmas = {word for pair in train for word in pair.words}
    lines = [f"{split}: {sum(p.split == split for p in pairs)} pairs" for split in SIZES]
    lines.append(f"templates: {len({p.template for p in pairs})}, content words: {len(lemmas)}")
    held = {(p.template, p.key) for p in pairs if p.novel}
    lines.append(f"held-out (template, key word) combinations: {len(held)}")
    for side, name in (("en", "English"), ("fr", "French")):
        forms = Counter(w for p in train for w in re.findall(r"[\w'-]+|[^\w\s]", getattr(p, side)))
        length = sum(len(getattr(p, side).split()) for p in train) / len(train)
        often = sum(n >= 15 for n in forms.values())
        text = f"{name}: {length:.1f} words a sentence, {len(forms)} forms"
        lines.append(f"{text}, {often} of them 15 times or more")
    return "\n".join(lines)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    pairs = build()
    write(folder, pairs)
    print(summary(pairs))


if __name__ == "__main__":
    main()
