"""The sections of the network: [encoder], [context] and [decoder]."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from seq2seq.config.section import FROM_A_CONDITION, FROM_TEXT, WITH_ATTENTION, Cell, Section


class EncoderConfig(Section):
    """The encoder reads the source. If the source is a text, the encoder is a recurrent network. If
    the source is a label or a vector of numbers, the encoder is an embedding."""

    kind: Literal["recurrent", "label", "vector"] = Field(
        "recurrent",
        description="What the encoder reads: `recurrent` reads a text, `label` reads one label, "
        "and `vector` reads one vector of numbers.",
    )
    vector_size: int = Field(
        3,
        ge=1,
        le=65_536,
        description='With `kind = "vector"`: number of components of a source vector.',
        json_schema_extra=FROM_A_CONDITION,
    )
    cell: Cell = Field(
        "gru",
        description="Type of the recurrent cell. `rnn` is the simple (Elman) cell with tanh; "
        "`rnn-relu` is the same cell with ReLU.",
        json_schema_extra=FROM_TEXT,
    )
    embedding: int = Field(
        256,
        ge=1,
        le=65_536,
        description='Size of the source embeddings. With `kind = "vector"`: size of the hidden '
        "layer that reads the vector.",
    )
    hidden: int = Field(
        256,
        ge=1,
        le=65_536,
        description="Number of hidden units in each recurrent layer, per direction.",
        json_schema_extra=FROM_TEXT,
    )
    layers: int = Field(
        1,
        ge=1,
        le=100,
        description="Number of recurrent layers. Every layer except the first has a residual "
        "connection.",
        json_schema_extra=FROM_TEXT,
    )
    bidirectional: bool = Field(
        True,
        description="Read the source in both directions. The second direction doubles the size of "
        "each encoder state.",
        json_schema_extra=FROM_TEXT,
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate on the output of each recurrent layer. 0 turns dropout off.",
        json_schema_extra=FROM_TEXT,
    )
    embedding_dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate on the source embeddings. 0 turns dropout off.",
        json_schema_extra=FROM_TEXT,
    )
    variational: bool = Field(
        False,
        description="Use variational dropout: all time steps of a sentence use one dropout mask.",
        json_schema_extra=FROM_TEXT,
    )
    layer_norm: bool = Field(
        False,
        description="Apply layer normalisation to the output of each recurrent layer.",
        json_schema_extra=FROM_TEXT,
    )

    @property
    def state_size(self) -> int:
        """D, the size of an encoder state."""
        return self.hidden * (2 if self.bidirectional else 1)


class ContextConfig(Section):
    """The context vector c carries the source to the decoder or to the classifier. A fixed context
    vector is the same at every step of the decoder. Attention computes a new context vector
    at every step."""

    kind: Literal[
        "fixed",
        "same-position",
        "additive",
        "dot",
        "general",
        "cosine",
        "multi-head",
        "monotonic",
        "transducer",
    ] = Field(
        "cosine",
        description="Kind of the context vector. `fixed` summarises the source. `same-position` "
        "(task `aligned`) is the encoder state at the position of the target. `transducer` is the "
        "encoder state at a pointer that moves forward. Other kinds are attention.",
    )
    placement: Literal["parallel", "classic"] = Field(
        "parallel",
        description="Place of attention. `parallel`: the query is the first decoder layer's new "
        "state, and all other layers receive the context vector c. `classic`: the "
        "query is the first decoder layer's previous state, and all layers receive c.",
        json_schema_extra=WITH_ATTENTION,
    )
    shortcut: bool = Field(
        True,
        description="Append each source embedding to the encoder state of the same position. "
        "Attention and the poolings `mean` and `attentive` then average states and embeddings.",
        json_schema_extra=FROM_TEXT,
    )
    pooling: Literal["last", "mean", "max", "attentive"] = Field(
        "attentive",
        description="How the encoder states are combined into one summary of the source. The "
        'summary initialises the decoder. With `kind = "fixed"`, it is also the context vector. '
        "`attentive` pooling is a weighted mean with learned weights.",
        json_schema_extra=FROM_TEXT,
    )
    heads: int = Field(
        8,
        ge=1,
        le=1_024,
        description="Number of heads in `multi-head` attention and in `attentive` pooling.",
        json_schema_extra=FROM_TEXT,
    )
    size: int = Field(
        512,
        ge=1,
        le=65_536,
        description="Size of the context vector c and of the summary of the source.",
    )

    @property
    def has_weights(self) -> bool:
        """Whether the context gives each source position a weight, as attention and pointers do."""
        return self.kind not in ("fixed", "same-position")

    @property
    def is_transducer(self) -> bool:
        """Whether the model is a transducer, whose targets are series of actions."""
        return self.kind == "transducer"

    @model_validator(mode="after")
    def _heads_fit(self) -> ContextConfig:
        if self.kind == "multi-head" and self.size % self.heads:
            raise ValueError(
                f"the key size ({self.size}) must be a multiple of the key heads ({self.heads}); "
                "change one of them"
            )
        if not self.has_weights and self.placement == "classic":
            raise ValueError(
                f"placement = 'classic' needs attention, but kind {self.kind!r} has none; leave "
                "out placement"
            )
        if self.kind in ("monotonic", "transducer") and self.placement == "classic":
            raise ValueError(
                f"placement 'classic' does not work with kind {self.kind!r}; leave out placement"
            )
        return self


class DecoderConfig(Section):
    """The decoder writes the target token by token. A language model has only a decoder and no
    encoder."""

    cell: Cell = Field(
        "gru",
        description="Type of the recurrent cell. `rnn` is the simple (Elman) cell with tanh; "
        "`rnn-relu` is the same cell with ReLU.",
    )
    embedding: int = Field(
        256,
        ge=1,
        le=65_536,
        description="Size of the target embeddings. In a language model with tied embeddings, this "
        "size must be equal to `hidden`, or to twice `hidden` if `bidirectional` is true.",
    )
    hidden: int = Field(
        512, ge=1, le=65_536, description="Number of hidden units in each recurrent layer."
    )
    layers: int = Field(
        1,
        ge=1,
        le=100,
        description="Number of recurrent layers. Every layer except the first has a residual "
        "connection.",
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate between the recurrent layers and before the output layer. "
        "0 turns dropout off.",
    )
    embedding_dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout rate on the target embeddings. 0 turns dropout off."
    )
    variational: bool = Field(
        False,
        description="Use variational dropout: all time steps of a sentence use one dropout mask.",
    )
    layer_norm: bool = Field(
        False,
        description="Apply layer normalisation to the output of each recurrent layer.",
    )
    weight_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Language model: dropout rate on the recurrent (state-to-state) weights. 0 "
        "turns this dropout off.",
    )
    tied: Literal["none", "output", "all"] = Field(
        "output",
        description="Weight tying. `output`: the output layer uses the target embeddings as its "
        "weights. `all`: source and target also share their embeddings, which needs "
        "`tokenizer.joint = true` and equal embedding sizes. `none`: no weights are tied.",
    )
    copying: bool = Field(
        False,
        description="Let the decoder copy tokens from the source (pointer-generator). It can then "
        "write symbols and words that the training data does not contain. Needs attention.",
        json_schema_extra=WITH_ATTENTION,
    )
    bidirectional: bool = Field(
        False,
        description="Language model: read the text in both directions. A bidirectional model sees "
        "the tokens that it must predict, so it cannot generate useful text.",
    )
