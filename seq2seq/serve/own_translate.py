"""The handlers of /v1/models, /v1/translate, /v1/translate/stream and /v1/score."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from seq2seq.decoding.options import PlainSearch
from seq2seq.decoding.results import LineResult, Note
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.serve.bodies import event_response, event_text, read_request
from seq2seq.serve.catalogue import AUTO, ServedModel
from seq2seq.serve.failures import explain, name_keys
from seq2seq.serve.operations import Operation
from seq2seq.serve.requests import ApiError
from seq2seq.serve.schemas import (
    AlignmentAnswer,
    HypothesisAnswer,
    NoteAnswer,
    RouteFields,
    SamplingFields,
    SearchFields,
    StreamRequest,
    TextAnswer,
    TranslateAnswer,
    TranslateRequest,
)
from seq2seq.serve.service import Service, plain_search
from seq2seq.serve.task_schemas import PairScore, ScoreAnswer, ScoreRequest

Route = tuple[ServedModel, ...]


class OwnTranslation:
    """The handlers of the paths that translate, with scores, alignments and notes."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def translate(self, request: Request) -> Response:
        """Translate texts (`POST /v1/translate`)."""
        service = self.service
        body, client = await read_request(service, request, TranslateRequest)
        service.require_size(request, client, body.texts)
        route, about = await self._choose(body, " ".join(body.texts[:100]))
        results = await service.answer(
            request,
            service.translate(
                route,
                body.texts,
                self._search(body),
                _source_options(body, route),
                align=body.alignments and _can_align(route, body),
            ),
        )
        texts = [_text_answer(result, route, body) for result in results]
        return _json(TranslateAnswer(**about, translations=texts))

    async def stream(self, request: Request) -> Response:
        """Translate a text, and send an event for each line (`POST /v1/translate/stream`)."""
        service = self.service
        body, client = await read_request(service, request, StreamRequest)
        lines = body.text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        service.require_size(request, client, [body.text])
        if client.limits.lines and len(lines) > client.limits.lines:
            raise ApiError(400, f"the text has more than {client.limits.lines} lines")
        route, about = await self._choose(body, body.text)
        search, source = self._search(body), _source_options(body, route)
        align = body.alignments and _can_align(route, body)

        async def events() -> AsyncIterator[str]:
            number = 0
            try:
                current = lines
                for model in route[:-1]:
                    found = await service.translate([model], current, service.search(), source)
                    current = [result.best.text for result in found]
                operation = Operation(route[-1].name, "translate", search, source, align=align)
                async for result in service.dispatcher.stream(operation, current):
                    number += 1
                    answer = _text_answer(result, route, body).model_dump()
                    yield event_text("line", {"line": number, **answer})
                yield event_text("done", {**about, "lines": number})
            except Exception as error:
                if not number:
                    raise
                yield event_text("error", {"error": explain(error)[1]})

        return await event_response(events())

    async def score(self, request: Request) -> Response:
        """Score given translations (`POST /v1/score`)."""
        service = self.service
        body, client = await read_request(service, request, ScoreRequest)
        service.require_size(request, client, [pair.source + pair.target for pair in body.pairs])
        fields = RouteFields(model=body.model, source=body.source, target=body.target)
        (model, *others), _ = await self._choose(fields, "")
        if others:
            raise ApiError(400, "no model scores this pair of languages directly: name another")
        operation = Operation(model.name, "score", length_penalty=body.length_penalty)
        pairs = [(pair.source, pair.target) for pair in body.pairs]
        scored = await service.answer(request, service.dispatcher.run(operation, pairs))
        scores = [PairScore(log_probability=one.log_probability, score=one.score) for one in scored]
        return _json(ScoreAnswer(model=model.name, scores=scores))

    async def _choose(self, body: RouteFields, text: str) -> tuple[Route, dict[str, Any]]:
        """Choose the models for a request. Return them, and the answer's fields about them."""
        catalogue = self.service.catalogue
        detected = None
        if body.model is not None:
            names = catalogue.of_kind(source=["text"], target=["text"])
            if body.model not in names:
                known = ", ".join(names) or "none"
                raise ApiError(400, f"{body.model!r} is not a translation model; known: {known}")
            named = catalogue.find_model(body.model)
            for wanted, code in zip(
                named.languages or (None, None), (body.source, body.target), strict=True
            ):
                if code is not None and (not wanted or catalogue.find_language(code) != wanted):
                    raise ApiError(400, f"the model {named.name} does not have the language {code}")
            return (named,), _about((named,), named.languages or (None, None), None)
        if body.source is None and body.target is None:
            names = catalogue.of_kind(source=["text"], target=["text"])
            if not names:
                raise ApiError(400, "this server has no translation model")
            first = catalogue.find_model(names[0])
            return (first,), _about((first,), first.languages or (None, None), None)
        target: str = body.target or self._only(catalogue.reached, "target")
        source: str = body.source or self._only(catalogue.sources, "source")
        if source == AUTO:
            codes = self.service.possible_sources(target)
            best = (await self.service.detect(text, codes))[0]
            source, detected = best["language"], best["confidence"]
        route = self.service.require_route(source, target)
        if not route:
            raise ApiError(400, f"source and target are the same language, {source}")
        return route, _about(route, _ends(route), detected)

    def _only(self, codes: Sequence[str], name: str) -> str:
        if len(codes) != 1:
            raise ApiError(400, f"the key {name!r} is missing: choose one of {', '.join(codes)}")
        return codes[0]

    def _search(self, body: SearchFields) -> PlainSearch:
        shared: dict[str, Any] = {
            "length_penalty": body.length_penalty,
            "max_length": body.max_length,
            "min_length": min(body.min_length, body.max_length or body.min_length),
            "n_best": body.n_best,
            "forbid": tuple(body.forbid),
        }
        if body.sampling:
            draw = {name: getattr(body, name) for name in SamplingFields.model_fields}
            return plain_search(sampling=True, **shared, **draw)
        beam = max(body.beam or self.service.settings.beam, body.n_best)
        return plain_search(beam=beam, **shared)


def _source_options(body: SearchFields, route: Route) -> SourceOptions:
    for model in route:
        if body.split_sentences and not model.splits_sentences:
            raise ApiError(
                400,
                "this server cannot split texts into sentences for the model "
                f"{model.name}: leave out split_sentences",
            )
    return SourceOptions(split_sentences=body.split_sentences, protect=body.protect)


def _can_align(route: Route, body: SearchFields) -> bool:
    several_samples = body.sampling and body.n_best > 1
    return len(route) == 1 and route[0].attends and not body.protect and not several_samples


def _ends(route: Route) -> tuple[str | None, str | None]:
    first, last = route[0].languages, route[-1].languages
    return (first[0] if first else None), (last[1] if last else None)


def _about(
    route: Route, languages: tuple[str | None, str | None], detected: float | None
) -> dict[str, Any]:
    middle = route[0].languages if len(route) > 1 else None
    return {
        "models": [model.name for model in route],
        "source": languages[0],
        "target": languages[1],
        "pivot": middle[1] if middle else None,
        "detected": detected,
    }


def _text_answer(result: LineResult, route: Route, body: SearchFields) -> TextAnswer:
    best = result.best
    notes = [note_answer(note) for note in result.notes] + _ignored(route, body)
    alignment = None
    if best.alignment is not None and body.alignments:
        alignment = AlignmentAnswer(
            source_tokens=best.alignment.source.pieces,
            target_tokens=best.alignment.target.pieces,
            source_words=list(best.alignment.source.words),
            target_words=list(best.alignment.target.words),
            weights=[[round(w, 4) for w in row] for row in best.alignment.weights.tolist()],
        )
    return TextAnswer(
        text=best.text,
        score=best.score,
        hypotheses=[
            HypothesisAnswer(text=one.text, score=one.score, log_probability=one.log_probability)
            for one in result.translations
        ],
        alignment=alignment,
        notes=notes,
    )


def _ignored(route: Route, body: SearchFields) -> list[NoteAnswer]:
    """Return notes about the keys of a request that have no effect."""
    notes = []
    if body.alignments and not _can_align(route, body):
        reason = "has no attention" if not route[-1].attends else "gives none for these options"
        if len(route) > 1:
            reason = "is one of two models that translated one after the other"
        text = f"there is no alignment, because the model {route[-1].name} {reason}"
        notes.append(NoteAnswer(kind="alignment", text=text))
    if body.max_length is not None and body.min_length > body.max_length:
        text = "min_length exceeds max_length, so max_length applies"
        notes.append(NoteAnswer(kind="length", text=text))
    changed = [
        name
        for name, field in SamplingFields.model_fields.items()
        if getattr(body, name) != field.default
    ]
    if changed and not body.sampling:
        text = f"{', '.join(changed)} had no effect: set sampling to true"
        notes.append(NoteAnswer(kind="sampling", text=text))
    return notes


def note_answer(note: Note) -> NoteAnswer:
    """Return a note of the search for an answer, without a line number in its text."""
    text = note.text.removeprefix(f"line {note.line}: ")
    return NoteAnswer(kind=note.kind, text=name_keys(text))


def _json(answer: Any) -> Response:
    return JSONResponse(answer.model_dump())
