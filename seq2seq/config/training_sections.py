"""The sections [training] and [validation]."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from seq2seq.config.section import (
    FOR_LANGUAGE_MODELS,
    TEXT_TO_TEXT,
    WITH_LABELS,
    Count,
    CountOrZero,
    Precision,
    Section,
)

_Beta = Annotated[float, Field(ge=0, lt=1)]


class TrainingConfig(Section):
    """This section sets the batches, the optimiser, the regularisation and the limits of training.
    Set at least one of the limits `epochs`, `updates` and `minutes`. Training stops as soon as it
    reaches one of these limits, or after `patience` validations without improvement."""

    batch_tokens: Count = Field(
        1536,
        description="Maximum size of a batch in tokens, including padding. The size is the number "
        "of examples times the length of the longest source or target text.",
    )
    window: Count = Field(
        35,
        description="Language model: number of time steps of truncated backpropagation through "
        "time. A batch holds `batch_tokens` / `window` rows, which are parallel streams of text.",
        json_schema_extra=FOR_LANGUAGE_MODELS,
    )
    windows: Literal["contiguous", "random"] = Field(
        "contiguous",
        description="Language model: recurrent state at the start of a window of text. A "
        "`contiguous` window continues from the last state of the previous window. A `random` "
        "window starts from a zero state.",
        json_schema_extra=FOR_LANGUAGE_MODELS,
    )
    accumulate: Count = Field(
        1,
        description="Number of batches whose gradients are added up for one update.",
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw",
        description="Optimiser: `adamw` (AdamW) or `sgd` (stochastic gradient descent without "
        "momentum).",
    )
    learning_rate: float = Field(
        2e-3, gt=0, description="Peak learning rate, which training reaches at the end of warm-up."
    )
    betas: tuple[_Beta, _Beta] = Field(
        (0.9, 0.98),
        description="AdamW: decay rates of the running averages of the gradient and of the squared "
        "gradient.",
    )
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="Weight decay rate. Weight decay applies to weight matrices but not to biases. "
        "0 turns weight decay off.",
    )
    schedule: Literal["inverse-sqrt", "cosine", "plateau", "constant"] = Field(
        "inverse-sqrt",
        description="Learning rate after warm-up. `inverse-sqrt`: falls as 1 / sqrt(updates). "
        "`cosine`: falls along a cosine curve to 0 at the end of training. `plateau`: falls when "
        "the validation result stops improving. `constant`: does not change.",
    )
    warmup: CountOrZero = Field(
        400,
        description="Number of updates in which the learning rate rises linearly to its peak "
        "(warm-up). 0 turns warm-up off.",
    )
    plateau_factor: float = Field(
        0.5,
        gt=0,
        lt=1,
        description='With `schedule = "plateau"`: factor that multiplies the learning rate at each '
        "plateau.",
    )
    plateau_patience: Count = Field(
        2,
        description='With `schedule = "plateau"`: number of successive validations without '
        "improvement that count as a plateau.",
    )
    clip: float = Field(
        1.0,
        ge=0,
        description="Maximum gradient norm. Gradient clipping scales a larger gradient down to "
        "this norm. 0 turns clipping off.",
    )
    label_smoothing: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Label smoothing: fraction of the target probability that is spread evenly "
        "over all tokens or labels. 0 turns label smoothing off.",
    )
    class_weights: str | dict[str, float] | None = Field(
        None,
        description="Weights of the labels in the loss, for labels of unequal frequency. "
        "`balanced`: by the inverse of the frequency, so that all labels count the same in total. "
        "A table such as `{ spam = 5.0 }`: weights of some labels; all others are 1.",
        examples=["balanced"],
        json_schema_extra=WITH_LABELS,
    )
    word_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Word dropout: probability that training replaces an input token of the source "
        "or target by `<unk>`. 0 turns word dropout off.",
    )
    r_drop: float = Field(
        0.0,
        ge=0,
        description="R-Drop (Liang et al. 2021): weight of the divergence between two forward "
        "passes with different dropout masks. R-Drop doubles the time of an update. 0 turns R-Drop "
        "off.",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay rate of an exponential moving average (EMA) of the weights. Validation "
        "and the final model then use the averaged weights. 0 turns averaging off.",
    )
    epochs: Count | None = Field(
        None,
        description="Maximum number of epochs, which are passes over the training set.",
        examples=[10],
    )
    updates: Count | None = Field(
        None,
        description="Maximum number of updates of the weights.",
        examples=[100_000],
    )
    minutes: float | None = Field(
        None,
        gt=0,
        description="Maximum time for training and validation, in minutes. A resumed run also "
        "counts the minutes before its interruption.",
        examples=[60.0],
    )
    patience: CountOrZero = Field(
        10,
        description="Early stopping: stop after this number of successive validations without "
        "improvement. 0 turns early stopping off.",
    )
    precision: Precision = Field(
        "auto",
        description="Number format of matrix products. `auto` chooses bf16 if the processor "
        "supports it, and fp32 otherwise.",
    )
    device: str = Field(
        "auto",
        description="Device to train on: `auto` (a GPU if there is one, otherwise the CPU), `cpu`, "
        "or a GPU such as `cuda:0`.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=1_024,
        description="Number of CPU threads. 0 means the value of `$OMP_NUM_THREADS`, or one thread "
        "per core if that variable is not set.",
    )
    log_every: Count = Field(
        50,
        description="Number of updates between two lines of the training log.",
    )

    tensorboard: bool = Field(
        False,
        description="Also write the rows of `metrics.jsonl` as TensorBoard scalars, to the folder "
        "`tensorboard` of the run. To install TensorBoard, run `pip install "
        "'seq2seq-rnn[tensorboard]'`.",
    )

    @field_validator("class_weights", mode="before")
    @classmethod
    def _are_weights(cls, value: object) -> object:
        table = isinstance(value, dict) and all(
            isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < inf
            for weight in value.values()
        )
        if value is None or value == "balanced" or table:
            return value
        raise ValueError(
            f"must be 'balanced' or a table of labels and weights above 0, but is {value!r}"
        )

    @model_validator(mode="after")
    def _ends(self) -> TrainingConfig:
        if self.epochs is None and self.updates is None and self.minutes is None:
            raise ValueError(
                "the length of the training is not set; set epochs, updates or minutes"
            )
        return self


class ValidationConfig(Section):
    """This section sets how often the model is scored on the validation set, and by which metric.
    The weights with the best score become the final model."""

    every: CountOrZero = Field(
        0,
        description="Number of updates between two validations. 0 means one validation after each "
        "epoch.",
    )
    metric: Literal[
        "bleu", "chrf", "ter", "accuracy", "exact-match", "wer", "ser", "loss", "perplexity"
    ] = Field(
        "bleu",
        description="Metric for the best weights: `bleu`, `chrf`, `ter`, `accuracy`, "
        "`exact-match`, `wer` (lines with an error), `ser` (errors per 100 symbols), `loss` or "
        "`perplexity`. Default for `symbols`: `wer`. If two scores are equal, the lower loss wins.",
    )
    set: str = Field(
        "",
        description="Name of the validation set that chooses the best weights, if `data.valid` "
        "names several. If empty, the first set chooses them.",
        examples=["news"],
    )
    tokenize: Literal["auto", "13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "none"] = Field(
        "auto",
        description="Tokenizer of sacreBLEU for BLEU. `auto` chooses by the script of the "
        "references: `13a` for text with spaces between words, `zh` for Chinese, `ja-mecab` or "
        "`char` for Japanese. `none` splits at spaces only, for tokenized text.",
        json_schema_extra=TEXT_TO_TEXT,
    )
    beam: int = Field(
        1,
        ge=1,
        le=1_000,
        description="For metrics of translations, such as `bleu`: beam size for translating the "
        "validation set. 1 means greedy search.",
        json_schema_extra=TEXT_TO_TEXT,
    )
    lines: CountOrZero = Field(
        0,
        description="For metrics of translations, such as `bleu`: number of pairs to translate, "
        "from the start of each validation set. 0 means all pairs.",
        json_schema_extra=TEXT_TO_TEXT,
    )
