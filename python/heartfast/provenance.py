"""How a picture was made: what its provenance chunk says, and in what two pictures differ."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import ConfigMismatchError
from heartfast.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from heartfast import SpectrogramConfig

    Fields = Mapping[str, object]

_MOST_TEXT = 1 << 16  # of a Provenance
MAX_NUMBER = 2.0**53  # of a Provenance: hertz, samples, seconds
FONT_DIGEST = "sha256:"  # what a figure's font is called by, instead of its path
MODEL = "the model"
_WHOLE = ("sample_rate", "n_fft", "hop_length")
_REQUIRED = (
    *("config", "sample_rate", "duration_s", "n_fft", "hop_length", "fmin", "fmax"),
    "version",
)
# Earlier versions of heartfast told of a part of a recording by these alone.
_OF_A_PART = ("channel", "start_s", "resampled_from")


class Provenance(NamedTuple):
    """How one of heartfast's pictures was made; `fmin` and `fmax` are its edge rows in Hz.

    `config` names a figure's font by its digest. `selection` is what of the recording became
    pictures, None where an earlier heartfast did not say all of it. `marked` says that the
    labelled intervals of its recording are drawn on it.
    """

    config: dict[str, object]
    sample_rate: int
    duration_s: float
    n_fft: int
    hop_length: int
    fmin: float
    fmax: float
    version: str
    selection: Selection | None = Selection()
    marked: bool = False

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Parse the text of a `heartfast` chunk; `ValueError` says what is wrong with it."""
        if len(text) > _MOST_TEXT:
            raise ValueError(f"expected a provenance of at most {_MOST_TEXT >> 10} kB, found more")
        fields = json.loads(text)
        if not isinstance(fields, dict) or not fields.keys() >= set(_REQUIRED):
            raise ValueError(f"expected the fields {', '.join(_REQUIRED)}")
        if not isinstance(fields["config"], dict):
            raise ValueError("expected config to be an object")
        _check_config(json.dumps(fields["config"], sort_keys=True))
        for name in _REQUIRED[1:7]:
            value, whole = fields[name], name in _WHOLE
            kind = int if whole else int | float
            if isinstance(value, bool) or not isinstance(value, kind):
                expected = "a whole number" if whole else "a number"
                raise ValueError(f"expected {name} to be {expected}, found {value!r:.40}")
            if not int(whole) <= value <= MAX_NUMBER:  # nor is NaN
                expected = "above 0" if whole else "0 or more"
                raise ValueError(
                    f"expected {name} to be {expected} and finite, found {value!r:.40}"
                )
        if fields["fmin"] > fields["fmax"]:
            raise ValueError("expected fmin not to be above fmax")
        known = {name: fields[name] for name in _REQUIRED}
        known["config"] = _with_font_digest(fields["config"], fields.get("font_sha256"))
        return cls(**known, selection=_selection(fields), marked="intervals" in fields)

    @property
    def made(self) -> Made:
        """What has to be the same in all pictures of a model."""
        return Made(self.config, self.selection)

    def seconds_per_column(self, columns: int) -> float:
        """Time between two columns of a picture with this many, in seconds."""
        if self.config.get("size") is None or self.duration_s == 0:
            return self.hop_length / self.sample_rate
        return self.duration_s / columns


class Made(NamedTuple):
    """The configuration and the selection of pictures; a selection of None is not known."""

    config: dict[str, object]
    selection: Selection | None = Selection()


def spectrogram_config(fields: dict[str, object]) -> SpectrogramConfig:
    """Take a configuration as JSON has it; `ValueError` says what is wrong with it."""
    from heartfast import SpectrogramConfig

    # JSON has no tuples, which the window and the size are.
    taken = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    try:
        return SpectrogramConfig.from_dict(taken)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"expected config to be valid, found: {error}") from None


@functools.lru_cache(maxsize=64)  # most pictures of a set share one
def _check_config(text: str) -> None:
    spectrogram_config(json.loads(text))


def font_of(config: Fields) -> str | None:
    """Return what a configuration's figure has as its font, if it has one of its own."""
    figure = config.get("figure")
    font = figure.get("font") if isinstance(figure, dict) else None
    return None if font is None else str(font)


def with_font(config: Fields, font: str) -> dict[str, object]:
    """Return a configuration whose figure has another font."""
    figure = config.get("figure")
    own = figure if isinstance(figure, dict) else {}
    return {**config, "figure": {**own, "font": font}}


def _with_font_digest(config: Fields, sha256: object) -> dict[str, object]:
    """Name the font by its content: a path means something else on every machine."""
    if font_of(config) is None or not isinstance(sha256, str):
        return dict(config)
    return with_font(config, f"{FONT_DIGEST}{sha256:.64}")


def _selection(fields: Fields) -> Selection | None:
    found = fields.get("selection")
    if found is None:
        return None if any(name in fields for name in _OF_A_PART) else Selection()
    return Selection.from_json(found)


def require_made(name: str, found: Made, owner: str, expected: Made) -> None:
    """Raise `ConfigMismatchError` unless a picture was made as those of `owner`.

    A selection that is not known of those of `owner` is not compared.
    """
    if found == expected:
        return
    kinds = _kind(expected.config), _kind(found.config)
    if (expected.config.get("figure") is None) != (found.config.get("figure") is None):
        as_owner = "as the model was trained on" if owner == MODEL else f"like {owner}"
        raise ConfigMismatchError(
            f"{name}: expected {kinds[0]} {as_owner}, found {kinds[1]}; convert the recordings "
            "with the same settings"
        )
    config, other = _flat(expected.config), _flat(found.config)
    differing = [
        f"{field}={config.get(field)!r}, found {other.get(field)!r}"
        for field in sorted(config.keys() | other.keys())
        if config.get(field) != other.get(field)
    ]
    if differing:
        raise ConfigMismatchError(
            f"{name}: expected a picture made as for {owner}, with {'; '.join(differing)}"
        )
    if expected.selection is None or expected.selection == found.selection:
        return
    shown = "one that does not say, made by an earlier heartfast"
    if found.selection is not None:
        shown = f"one of {found.selection.words()}"
    raise ConfigMismatchError(
        f"{name}: expected a picture made as for {owner}, of {expected.selection.words()}, found "
        f"{shown}; convert the recordings with the same settings"
    )


def _kind(config: Fields) -> str:
    """Say in words what kind of pictures a configuration makes."""
    figure = config.get("figure")
    if not isinstance(figure, dict):
        return "plain spectrogram tiles"
    scale = figure.get("scale", 1.0)
    width, height = (
        round(figure.get(side, default) * scale)
        for side, default in (("width", 900), ("height", 500))
    )
    return f"figures with axes ({width} x {height})"


def _flat(config: Fields) -> dict[str, object]:
    """Return the fields of a configuration, with those of its figure among them."""
    figure = config.get("figure")
    if not isinstance(figure, dict):
        return dict(config)
    rest = {name: value for name, value in config.items() if name != "figure"}
    return rest | {f"figure.{name}": value for name, value in figure.items()}
