"""Choose the search options of a call, and check their type."""

from __future__ import annotations

from seq2seq.decoding.options import AnySearch, SamplingOptions, search_options


def choose_search(
    options: AnySearch | None, flat: AnySearch, unset: AnySearch | None = None
) -> AnySearch:
    """Return the search options of a call: `options`, or the options from keyword arguments.

    flat: the search options that the keyword arguments of the call describe.
    unset: the search options that the defaults of these keyword arguments describe. None means
        those of beam search.

    Raises TypeError if `options` is not an object with search options, or if `options` is given and
    a keyword argument differs from its default.
    """
    if options is None:
        return flat
    require_search(options)
    if flat != (unset or search_options()):
        raise TypeError(
            "the argument options and keyword arguments cannot be combined: set all in options"
        )
    return options


def require_search(options: object) -> None:
    """Raise TypeError unless `options` is an object of one of the four search classes."""
    if not isinstance(options, AnySearch):
        raise TypeError(
            f"options must be GreedyOptions, BeamOptions, SamplingOptions or MinimumRiskOptions, "
            f"but is {type(options).__name__}"
        )


def require_sampling(options: object) -> None:
    """Raise TypeError unless `options` is a `SamplingOptions` object."""
    if not isinstance(options, SamplingOptions):
        raise TypeError(f"options must be SamplingOptions, but is {type(options).__name__}")
