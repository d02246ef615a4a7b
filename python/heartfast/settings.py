"""What the command line's options say, as the library takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from heartfast.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from heartfast._core import SpectrogramConfig
    from heartfast.limits import Limits


def config(options: Namespace) -> SpectrogramConfig:
    """The settings of pictures: of a tile, or of a figure."""
    try:
        return _config(options)
    except TypeError as error:  # on a command line every bad value is a usage error
        raise UsageError(str(error)) from None


def _config(options: Namespace) -> SpectrogramConfig:
    from heartfast._core import SpectrogramConfig

    fields = (
        "window", "window_ms", "overlap", "hop_ms", "zero_pad", "dynamic_range", "ref", "fmin",
        "fmax", "size", "colormap", "invert", "center", "reassign", "windows_ms",
        "noise_reduction", "noise_percent", "quantile", "median", "blur", "sharpen", "derivative",
    )  # fmt: skip
    given = {name: getattr(options, name) for name in fields if hasattr(options, name)}
    if "figure" not in options:
        return SpectrogramConfig(**given)
    from heartfast.figures import FigureConfig, figure_config

    own = [name for name in FigureConfig._fields if name in options and name != "colormap"]
    ylim = getattr(options, "ylim", None)
    if options.figure or options.preset:
        # Overlap and hop exclude each other, and a tile's size and inversion are no figure's.
        of_tiles = [name for name in ("size", "invert") if name in given]
        if of_tiles:
            raise UsageError(f"--{of_tiles[0]}: expected a tile, found a figure")
        drawn = given | {name: getattr(options, name) for name in own}
        return figure_config(options.preset, None, ylim, drawn)
    if ylim is not None:
        own.insert(0, "ylim")
    if own:
        raise UsageError(f"--{own[0].replace('_', '-')}: expected --figure as well, found a tile")
    return SpectrogramConfig(**given)


def selection(options: Namespace) -> dict[str, Any]:
    """What of a recording is drawn: the arguments that are given."""
    from heartfast.selection import Selection

    return {name: getattr(options, name) for name in Selection._fields if hasattr(options, name)}


def training(options: Namespace) -> dict[str, Any]:
    """How models are compared."""
    names = ["metric", "trials", "folds", "repeats", "cv", "class_weight", "augment"]
    names += ["context", "time_budget", "embed", "embed_only"]
    return {name: getattr(options, name) for name in names}


def limits(options: Namespace) -> Limits:
    """The limits, with those that are changed."""
    from heartfast.limits import Limits

    return Limits()._replace(**dict(options.limit))


def conversion(options: Namespace) -> dict[str, Any]:
    """How recordings are found and named, and where and by whom their pictures are made."""
    same = (
        "labels", "group_regex", "recursive", "any_extension", "jobs", "to", "png", "shard_mb",
        "overwrite", "prune", "check", "fsync", "gallery", "intervals", "engine", "address",
        "shard", "features",
    )  # fmt: skip
    most = 0 if options.on_error == "stop" else options.max_errors
    given = {name: getattr(options, name) for name in same}
    return given | {"limits": limits(options), "max_errors": most}
