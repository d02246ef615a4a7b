"""Arguments of soundgen 1.8.2's `spectrogramFolder`, in R's spelling and with R's values."""

from __future__ import annotations

import difflib
import math
import numbers
from typing import TYPE_CHECKING, Any

from heartfast.errors import UsageError, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What R calls arguments that have another name here.
_RENAMED = {"myfolder": "folder", "main": "title", "cores": "jobs", "colourtheme": "color_theme"}
# Arguments of soundgen's `spectrogram` that have an effect here, with soundgen's defaults.
EFFECTS: dict[str, Any] = {
    "smooth_freq": 0, "smooth_time": 0, "q_time": 0, "percent_noise": 10, "noise_reduction": 0,
    "method": "spectrum", "spec_type": "spectrum", "pad_with_silence": True, "osc_db": False,
    "grid": 0, "blur": 0,
}  # fmt: skip
# Those that have none, with the values at which soundgen draws what heartfast draws anyway.
_WITHOUT_EFFECT: dict[str, Any] = {
    "sampling_rate": None, "scale": None, "normalize": True, "output": "original", "plot": True,
    "heights": (3, 1), "max_points": (100_000, 500_000), "xaxp": None, "mar": (5.1, 4.1, 4.1, 2),
    "internal": None, "frame_bank": None, "duration": None, "contour": None, "extra_contour": None,
    "rescale_extra_contour": True, "summary": None, "summary_fun": None, "save_plots": None,
    "report_every": None, "col": None, "nlevels": 30, "rasterize": False, "log_spec": True,
    "spec_manual": None, "from": None, "to": None,
}  # fmt: skip
# R's graphical parameters: `par` and what `plot` takes beside them.
_GRAPHICAL = (
    "adj", "ann", "ask", "asp", "axes", "bg", "bty", "cex", "cex.axis", "cex.lab", "cex.main",
    "cex.sub", "cin", "col.axis", "col.lab", "col.main", "col.sub", "cra", "crt", "csi", "cxy",
    "din", "err", "family", "fg", "fig", "fin", "font.axis", "font.lab", "font.main", "font.sub",
    "frame.plot", "lab", "las", "lend", "lheight", "ljoin", "lmitre", "log", "lty", "lwd", "mai",
    "mex", "mfcol", "mfg", "mfrow", "mgp", "mkh", "new", "oma", "omd", "omi", "page", "panel.first",
    "panel.last", "pch", "pin", "plt", "ps", "pty", "smo", "srt", "sub", "tck", "tcl", "tmag",
    "type", "usr", "xaxs", "xaxt", "xlim", "xlog", "xpd", "yaxp", "yaxs", "yaxt", "ylbias", "ylog",
)  # fmt: skip
_UNITS = {name: name for name in ("px", "in", "cm", "mm")}
_INCH = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4}
# Pixels to an inch at which a point of text is a pixel, as in R.
_POINTS_PER_INCH = 72
_DENSITIES = (0.5, 4.0)
# How far a figure's points may be from what `res` says, for its pixels to be exact.
_NEAR = 40


def is_missing(value: object) -> bool:
    """Whether a value is R's NULL or NA: None or NaN."""
    return value is None or (isinstance(value, numbers.Real) and math.isnan(value))


def _key(name: str) -> str:
    """A name without what tells R's spelling from Python's."""
    return name.replace("_", "").replace(".", "").lower()


def by_python_names(
    given: Mapping[str, Any], defaults: Mapping[str, Any], spellings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all arguments by Python's names; those that have no effect are warned of.

    Parameters
    ----------
    given, defaults : mapping
        The arguments that the function has by name, and what they are by default.
    spellings : mapping
        The others, by the names with which they were given.

    Raises
    ------
    TypeError
        An argument that neither soundgen nor heartfast has.
    UsageError
        One that is given in two spellings.
    """
    names = {_key(name): name for name in (*defaults, *EFFECTS, *_WITHOUT_EFFECT, *_GRAPHICAL)}
    names |= _RENAMED
    taken = dict(given)
    spelled: dict[str, str] = {}
    for spelling, value in spellings.items():
        name = names.get(_key(spelling))
        if name is None:
            raise TypeError(_unknown(spelling, names.values()))
        if name in spelled or (name in defaults and taken[name] != defaults[name]):
            raise UsageError(
                f"{name}: expected it once, found {spelled.get(name, name)} and {spelling}"
            )
        spelled[name] = spelling
        if name in defaults or name in EFFECTS:
            taken[name] = value
        elif not _is_default(value, _WITHOUT_EFFECT.get(name)):
            warn(f"{spelling}: expected one that has an effect here, found {value!r}: ignored")
    known = {**EFFECTS, **defaults}
    # NULL and NA are the defaults, as far as these are not NULL themselves.
    return {
        name: known[name] if is_missing(value) else value
        for name, value in {**known, **taken}.items()
    }


def _is_default(value: object, default: object) -> bool:
    if is_missing(value):
        return True
    if hasattr(value, "tolist"):  # NumPy's
        value = value.tolist()
    if isinstance(default, tuple):
        return isinstance(value, (list, tuple)) and tuple(value) == default
    if default is None or isinstance(value, bool) != isinstance(default, bool):
        return False
    return bool(value == default)


def _unknown(spelling: str, names: Iterable[str]) -> str:
    message = f"spectrogram_folder got an unexpected argument {spelling!r}"
    nearest = difflib.get_close_matches(_key(spelling), [_key(n) for n in names], 1, 0.6)
    if not nearest:
        return message
    name = next(name for name in names if _key(name) == nearest[0])
    return f"{message}; the nearest is {name!r}"


def number(name: str, value: object, kind: str = "a number") -> float:
    """Return a number; R's TRUE is none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise UsageError(f"{name}: expected {kind}, found {value!r}")
    return float(value)


def whole(name: str, value: object) -> int:
    """Return a whole number, which R may have as 900.0."""
    found = number(name, value, "a whole number")
    if not found.is_integer():
        raise UsageError(f"{name}: expected a whole number, found {value!r}")
    return int(found)


def flag(name: str, value: object) -> bool:
    """Return a truth value: True or False, also NumPy's, or R's "T" and "F" as text."""
    if isinstance(value, str) and value.upper() in ("TRUE", "T", "FALSE", "F"):
        return value.upper() in ("TRUE", "T")
    if type(value).__name__ in ("bool", "bool_") or (value in (0, 1)):
        return bool(value)
    raise UsageError(f"{name}: expected True or False, found {value!r}")


def choice(name: str, value: object, known: Mapping[str, str]) -> str:
    """Return what a name that soundgen takes, in any case of letters, is called here."""
    found = known.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        names = ", ".join(dict.fromkeys(known))
        near = difflib.get_close_matches(str(value).lower(), known, 1)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        raise UsageError(f"{name}: expected one of {names}, found {value!r}{hint}")
    return found


def within(name: str, value: object, low: float, high: float) -> float:
    """Return a number, or the end of the range that it is beyond, with a warning."""
    found = number(name, value)
    kept = min(max(found, low), high)
    if kept != found:
        warn(f"{name}: expected {low:g} to {high:g}, found {value!r}: {kept:g} is taken")
    return kept


def size_in_points(taken: Mapping[str, Any]) -> tuple[int, int, float]:
    """Width and height in points, and pixels to a point."""
    units, res = choice("units", taken["units"], _UNITS), taken["res"]
    sides = [number(name, taken[name]) for name in ("width", "height")]
    if res is not None and not 0 < number("res", res, "pixels per inch") < float("inf"):
        raise UsageError(f"res: expected pixels per inch, more than 0, found {res!r}")
    if units in _INCH:
        if res is None:
            raise UsageError(f"res: expected pixels per inch with units {units!r}, found none")
        sides = [side * _INCH[units] * float(res) for side in sides]
    for name, side in zip(("width", "height"), sides, strict=True):
        if not 0.5 <= side < 1e6:
            raise UsageError(f"{name}: expected a size in {units}, found {taken[name]!r}")
    pixels = round(sides[0]), round(sides[1])
    if res is None:
        return *pixels, 1.0
    wanted = float(res) / _POINTS_PER_INCH
    density = min(max(wanted, _DENSITIES[0]), _DENSITIES[1])
    if density != wanted:
        limit = density * _POINTS_PER_INCH
        warn(f"res: expected 36 to 288, found {res!r}: text has the size of {limit:g}")
    return _points(pixels, density)


def _points(pixels: tuple[int, int], density: float) -> tuple[int, int, float]:
    """Whole numbers of points, and a density near this one, that make just so many pixels."""
    width, height = pixels
    near = round(width / density)
    best = near, round(height / density), density
    for apart in range(_NEAR):
        for across in (near + apart, near - apart):
            if across < 1:
                continue
            exact = min(max(width / across, _DENSITIES[0]), _DENSITIES[1])
            down = round(height / exact)
            if round(across * exact) == width and round(down * exact) == height:
                return across, down, exact
    return best
