"""The handlers of the paths for all tasks but translation: /v1/tag, /v1/generate, and so on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from seq2seq.decoding.options import SamplingOptions
from seq2seq.errors import UserError
from seq2seq.serve.bodies import event_response, event_text, read_request
from seq2seq.serve.catalogue import ServedModel
from seq2seq.serve.failures import explain, name_keys
from seq2seq.serve.operations import Labels, Operation
from seq2seq.serve.requests import ApiError
from seq2seq.serve.schemas import NoteAnswer
from seq2seq.serve.service import Service
from seq2seq.serve.task_schemas import (
    ClassifiedText,
    ClassifyAnswer,
    GenerateAnswer,
    GeneratedText,
    GenerateRequest,
    LabelAnswer,
    LabelRequest,
    ModelAnswer,
    ModelsAnswer,
    PairAnswer,
    PerplexityAnswer,
    PerplexityRequest,
    TagAnswer,
    TaggedText,
)

_PATHS = {
    "translate": "/v1/translate",
    "score": "/v1/score",
    "tag": "/v1/tag",
    "classify": "/v1/classify",
    "generate": "/v1/generate",
    "perplexity": "/v1/perplexity",
}


class OwnTasks:
    """The handlers of the paths that list models, label texts and generate texts."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def models(self, request: Request) -> Response:
        """List the models and the pairs of languages (`GET /v1/models`)."""
        catalogue, labels = self.service.catalogue, self.service.dispatcher.labels
        models = [
            ModelAnswer(
                name=name,
                task=model.task.name,
                source=model.languages[0] if model.languages else None,
                target=model.languages[1] if model.languages else None,
                attention=model.attends,
                features=model.features,
                splits_sentences=model.splits_sentences,
                labels=labels.get(name, []),
                paths=[_PATHS[command] for command in model.task.commands if command in _PATHS],
            )
            for name, model in catalogue.models.items()
        ]
        pairs = []
        for source in catalogue.sources:
            for target in catalogue.targets(source):
                route = catalogue.route(source, target)
                middle = route[0].languages if len(route) > 1 else None
                pairs.append(
                    PairAnswer(
                        source=source,
                        target=target,
                        models=[model.name for model in route],
                        pivot=middle[1] if middle else None,
                    )
                )
        return JSONResponse(ModelsAnswer(models=models, pairs=pairs).model_dump())

    async def tag(self, request: Request) -> Response:
        """Tag the words of texts (`POST /v1/tag`)."""
        body, model, results = await self._label(request, "word labels")
        names = self.service.dispatcher.labels[model.name]
        texts = [
            TaggedText(words=text.split(), tags=_labels(result, names, body), notes=_notes(result))
            for text, result in zip(body.texts, results, strict=True)
        ]
        return JSONResponse(TagAnswer(model=model.name, texts=texts).model_dump())

    async def classify(self, request: Request) -> Response:
        """Classify texts (`POST /v1/classify`)."""
        body, model, results = await self._label(request, "label")
        names = self.service.dispatcher.labels[model.name]
        texts = [
            ClassifiedText(
                label=next(iter(_labels(result, names, body)), None), notes=_notes(result)
            )
            for result in results
        ]
        return JSONResponse(ClassifyAnswer(model=model.name, texts=texts).model_dump())

    async def _label(
        self, request: Request, kind: str
    ) -> tuple[LabelRequest, ServedModel, list[Labels]]:
        body, client = await read_request(self.service, request, LabelRequest)
        self.service.require_size(request, client, body.texts)
        names = self.service.catalogue.of_kind(source=["text", "words"], target=[kind])
        model = self._choose(body.model, names)
        work = self.service.dispatcher.run(Operation(model.name, "label"), body.texts)
        return body, model, await self.service.answer(request, work)

    async def generate(self, request: Request) -> Response:
        """Generate texts (`POST /v1/generate`)."""
        service, catalogue = self.service, self.service.catalogue
        body, client = await read_request(service, request, GenerateRequest)
        service.require_size(request, client, [body.prompt or ""])
        speaking = catalogue.of_kind(source=["none"], target=["text"])
        writing = catalogue.of_kind(source=["condition"], target=["text"])
        model = self._choose(
            body.model, speaking + writing if body.given is None else writing + speaking
        )
        unfit = ("prompt", "stream") if model.name in writing else ("given",)
        for name in unfit:
            if getattr(body, name) not in (None, False):
                raise ApiError(400, f"the model {model.name} does not take the key {name!r}")
        search = SamplingOptions(
            n_best=body.number if model.name in writing else 1,
            max_length=body.max_length,
            temperature=body.temperature,
            top_k=body.top_k,
            top_p=body.top_p,
            seed=body.seed,
            stop=tuple(body.stop),
        )
        if model.name in writing:
            if not body.given:
                raise ApiError(400, "the key 'given' is missing or empty: give a label or a vector")
            given = tuple(body.given) if isinstance(body.given, list) else body.given
            operation = Operation(model.name, "generate", search)
            (result,) = await service.answer(request, service.dispatcher.run(operation, [given]))
            texts = [GeneratedText(text=one.text, score=one.score) for one in result.translations]
            return JSONResponse(GenerateAnswer(model=model.name, texts=texts).model_dump())
        prompt = body.prompt if body.prompt and body.prompt.strip() else None
        pieces = service.dispatcher.stream(Operation(model.name, "continue", search), [prompt])
        if body.stream:
            return await event_response(_piece_events(pieces, model.name))
        text = await service.answer(request, _joined(pieces))
        texts = [GeneratedText(text=text, score=None)]
        return JSONResponse(GenerateAnswer(model=model.name, texts=texts).model_dump())

    async def perplexity(self, request: Request) -> Response:
        """Measure the perplexity of a text (`POST /v1/perplexity`)."""
        service = self.service
        body, client = await read_request(service, request, PerplexityRequest)
        service.require_size(request, client, [body.text])
        names = service.catalogue.of_kind(source=["none"], target=["text"])
        model = self._choose(body.model, names)
        work = service.dispatcher.run(Operation(model.name, "measure"), [body.text])
        try:
            (result,) = await service.answer(request, work)
        except UserError:  # the text has no tokens
            answer = PerplexityAnswer(
                model=model.name, perplexity=None, loss=None, tokens=0, unknown_share=0.0
            )
        else:
            answer = PerplexityAnswer(
                model=model.name,
                perplexity=result.value,
                loss=result.loss,
                tokens=result.tokens,
                unknown_share=result.unknown_share,
            )
        return JSONResponse(answer.model_dump())

    def _choose(self, name: str | None, names: Sequence[str]) -> ServedModel:
        """Return the model called `name`, or else the first one of `names`, which can do the task.

        Raises ApiError if the named model cannot do the task, or if no model can.
        """
        if not names:
            raise ApiError(404, "this server has no model for this path")
        if name is not None and name not in names:
            raise ApiError(
                400, f"the model {name!r} cannot do this; choose one of {', '.join(names)}"
            )
        return self.service.catalogue.find_model(name or names[0])


def _labels(result: Labels, names: Sequence[str], body: LabelRequest) -> list[LabelAnswer]:
    return [
        LabelAnswer(
            label=label,
            probability=max(values),
            probabilities=dict(zip(names, values, strict=True)) if body.probabilities else None,
        )
        for label, values in zip(result.labels, result.probabilities, strict=True)
    ]


def _notes(result: Labels) -> list[NoteAnswer]:
    return [NoteAnswer(kind=kind, text=name_keys(text)) for kind, text in result.notes]


async def _joined(pieces: AsyncIterator[str]) -> str:
    return "".join([piece async for piece in pieces])


async def _piece_events(pieces: AsyncIterator[str], model: str) -> AsyncIterator[str]:
    is_first = True
    try:
        async for piece in pieces:
            if piece:
                yield event_text("piece", {"text": piece})
                is_first = False
        yield event_text("done", {"model": model})
    except Exception as error:
        if is_first:
            raise
        yield event_text("error", {"error": explain(error)[1]})
