"""The models of a server, and the routes that they form between languages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError, did_you_mean
from seq2seq.serve.language_names import language_name
from seq2seq.tasks import Task
from seq2seq.text.languages import language_code

if TYPE_CHECKING:
    from seq2seq.config.schema import Config

AUTO = "auto"  # the source language that asks for detection


@dataclass(frozen=True)
class ServedModel:
    """A model that the server offers.

    name: the name of the model in requests.
    folders: the model folder or the export, or several of them for an ensemble.
    languages: the source and the target language. None for a model that does not translate between
        languages.
    """

    name: str
    folders: tuple[Path, ...]
    config: Config
    languages: tuple[str, str] | None = None

    @property
    def task(self) -> Task:
        """The task of the model."""
        return self.config.task

    @property
    def translates(self) -> bool:
        """Whether the model turns a text into another text."""
        return self.task.source == "text" and self.task.has_target_text

    @property
    def attends(self) -> bool:
        """Whether the model has attention weights, and therefore alignments."""
        return self.translates and self.config.context.has_weights

    @property
    def features(self) -> str | None:
        """Whether features describe a "line" or a "word". None for a model without features."""
        return self.config.features.per if self.config.data.features is not None else None

    @property
    def splits_sentences(self) -> bool:
        """Whether the server can split a text into sentences and translate each separately."""
        has_splitter = find_spec("sentencex") is not None
        return self.translates and self.features != "word" and has_splitter


def split_name(argument: str) -> tuple[str, str]:
    """Return NAME and MODEL of an argument NAME=MODEL. NAME defaults to the name of the folder.

    Raises UserError for an empty name.
    """
    name, equals, model = argument.partition("=")
    if not equals:
        name, model = Path(argument).resolve().name, argument
    if not name.strip():
        raise UserError(f"{argument!r}: the name of the model is empty; write NAME=MODEL")
    return name, model


def describe_model(name: str, folders: Sequence[Path]) -> ServedModel:
    """Read the configuration of a model, and return what the server needs to know about it.

    A name such as en-fr sets the languages. Any other model gets its languages from its
    configuration (`data.source` and `data.target`). Raises UserError as `load_any_config` does.
    """
    from seq2seq.decoding.load import load_any_config  # takes half a second

    config = load_any_config(folders[0])
    task, languages = config.task, None
    if task.source == "text" and task.has_target_text:
        source, _, target = name.partition("-")
        if not (language_code(source) and language_code(target)):
            source, target = config.data.source, config.data.target
        if language_code(source) and language_code(target) and source != target:
            languages = source, target
    return ServedModel(name, tuple(folders), config, languages)


class Catalogue:
    """The models of a server by name, and the routes between languages."""

    def __init__(self, models: Iterable[ServedModel]) -> None:
        """Index models by name and by pair of languages.

        If several models have the same pair of languages, the first one is the default.
        """
        self.models: dict[str, ServedModel] = {}
        self.pairs: dict[tuple[str, str], ServedModel] = {}
        for model in models:
            self.models[model.name] = model
            if model.languages:
                self.pairs.setdefault(model.languages, model)
        self._codes = list(dict.fromkeys(code for pair in self.pairs for code in pair))
        self.sources = [code for code in self._codes if self.targets(code)]
        self.reached = [
            code for code in self._codes if any(self.route(one, code) for one in self.sources)
        ]

    def targets(self, source: str) -> list[str]:
        """Return the languages that a language can be translated into."""
        return [code for code in self._codes if code != source and self.route(source, code)]

    def route(self, source: str, target: str) -> tuple[ServedModel, ...]:
        """Return the models that translate one after the other from `source` to `target`.

        The result is one model, two models that translate through a third language, or ().
        """
        if direct := self.pairs.get((source, target)):
            return (direct,)
        for (start, middle), first in self.pairs.items():
            second = self.pairs.get((middle, target))
            if start == source and second and source != target:
                return first, second
        return ()

    def find_language(self, code: str) -> str | None:
        """Return the language of this server that matches the language code of a client, or None.

        "pt-BR" also means "pt", and "FR" means "fr".
        """
        known = {served.lower().replace("_", "-"): served for served in self._codes}
        wanted = code.lower().replace("_", "-")
        return known.get(wanted) or known.get(wanted.split("-")[0])

    def list_languages(self) -> list[dict[str, object]]:
        """Return the languages as LibreTranslate lists them: code, name and targets."""
        return [
            {"code": code, "name": language_name(code), "targets": self.targets(code)}
            for code in self._codes
        ]

    def of_kind(self, *, source: Iterable[str] = (), target: Iterable[str] = ()) -> list[str]:
        """Return the names of the models whose task has one of the given inputs and outputs.

        source, target: kinds of input and output, such as "text" or "label", as in `Task`.
        """
        return [
            name
            for name, model in self.models.items()
            if model.task.source in source and model.task.target in target
        ]

    def find_model(self, name: str) -> ServedModel:
        """Return the model with this name. Raises UserError for an unknown name."""
        if name not in self.models:
            hint = did_you_mean(name, self.models) or f"; choose one of {', '.join(self.models)}"
            raise UserError(f"the server has no model named {name!r}{hint}")
        return self.models[name]
