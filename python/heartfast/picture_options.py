"""Options that say what pictures look like."""

from __future__ import annotations

import argparse

from heartfast.parsing import real, whole


def add_config(p: argparse.ArgumentParser) -> None:
    """Add the options of spectrograms."""
    # Without defaults: the configuration has its own.
    group = p.add_argument_group("spectrogram", argument_default=argparse.SUPPRESS)
    group.add_argument("--window", metavar="NAME", help="window shape (gaussian)")
    group.add_argument("--window-ms", type=real, metavar="MS", help="window length (50)")
    group.add_argument("--overlap", type=real, metavar="PERCENT", help="of windows (50)")
    group.add_argument("--hop-ms", type=real, metavar="MS", help="instead of --overlap")
    group.add_argument(
        "--zero-pad", type=whole, metavar="POINTS", help="FFT length (0: the window)"
    )
    group.add_argument("--dynamic-range", type=real, metavar="DB", help="shown below 0 dB (80)")
    group.add_argument("--ref", type=_reference, metavar="MAX|X", help="0 dB: max or a magnitude")
    group.add_argument("--fmin", type=real, metavar="HZ", help="lowest frequency shown")
    group.add_argument("--fmax", type=real, metavar="HZ", help="highest frequency shown")
    group.add_argument("--size", type=_size, metavar="HxW", help="pixels (one per bin and frame)")
    group.add_argument(
        "--colormap",
        metavar="NAME",
        help="gray, viridis, magma, inferno, plasma, cividis, turbo, bw, seewave, heat",
    )
    group.add_argument("--invert", action="store_true", help="dark on light")
    group.add_argument("--no-center", dest="center", action="store_false", help="whole frames only")
    group = p.add_argument_group(
        "effects, applied in this order", argument_default=argparse.SUPPRESS
    )
    group.add_argument(
        "--reassign",
        action="store_true",
        help="move energy to where in time and frequency it comes from",
    )
    group.add_argument(
        "--windows-ms",
        type=_numbers,
        metavar="MS[,MS...]",
        help="further windows: the geometric mean of the spectrograms with each",
    )
    group.add_argument(
        "--noise-reduction",
        type=real,
        metavar="X",
        help="subtract X times the mean of the noisiest frames (0)",
    )
    group.add_argument(
        "--noise-percent", type=real, metavar="PERCENT", help="frames that are the noisiest (10)"
    )
    group.add_argument(
        "--quantile", type=real, metavar="Q", help="subtract each bin's quantile, 0 to 1"
    )
    group.add_argument(
        "--median",
        type=_odd_numbers,
        metavar="FRAMES,BINS",
        help="median of so many, odd numbers (1,1)",
    )
    group.add_argument(
        "--blur", type=_widths, metavar="MS,HZ", help="Gaussian of these standard deviations (0,0)"
    )
    group.add_argument(
        "--sharpen", type=_widths, metavar="MS,HZ", help="unsharp mask with such a Gaussian (0,0)"
    )
    group.add_argument(
        "--derivative",
        choices=("time", "frequency", "both"),
        help="how fast magnitudes change, instead of these",
    )


def add_figure(p: argparse.ArgumentParser) -> None:
    """Add the options of figures."""
    p.add_argument("--figure", action="store_true", help="draw axes and an oscillogram, for people")
    p.add_argument(
        "--preset", metavar="NAME", help="settings for figures: published, heart, speech, bird"
    )
    p.add_argument(
        "--intervals", metavar="PATH", help="labelled parts to show: CSV, TSV, or a folder of them"
    )
    # Without defaults: the configuration has its own.
    group = p.add_argument_group("figure", argument_default=argparse.SUPPRESS)
    group.add_argument("--width", type=whole, metavar="N", help="in points (900)")
    group.add_argument("--height", type=whole, metavar="N", help="in points (500)")
    group.add_argument("--scale", type=real, metavar="X", help="pixels to a point (1)")
    group.add_argument("--osc", metavar="WAY", help="oscillogram: linear (default), db, none")
    group.add_argument(
        "--y-scale", metavar="NAME", help="frequencies: linear (default), log, mel, bark, erb"
    )
    group.add_argument("--ylim", type=_range, metavar="LOW,HIGH", help="Hz; as --fmin and --fmax")
    group.add_argument("--xlim", type=_range, metavar="FROM,TO", help="seconds shown (all)")
    group.add_argument("--title", metavar="TEXT", help="(the recording's name)")
    group.add_argument("--xlab", metavar="TEXT", help="name of the time axis")
    group.add_argument("--ylab", metavar="TEXT", help="name of the frequency axis")
    group.add_argument(
        "--time-unit", metavar="NAME", help="of the time axis: auto (default), ms, s, min"
    )
    group.add_argument(
        "--frequency-unit", metavar="NAME", help="of the frequency axis: auto (default), Hz, kHz"
    )
    group.add_argument("--grid", action="store_true", help="dotted lines at the ticks")
    group.add_argument("--colorbar", action="store_true", help="a scale of decibels")
    group.add_argument("--theme", metavar="NAME", help="light (default), dark")
    group.add_argument("--contrast", type=real, metavar="X", help="-1 to 1: faint levels fade (0)")
    group.add_argument("--brightness", type=real, metavar="X", help="-1 to 1: lighter (0)")
    group.add_argument("--font", metavar="FILE", help="TrueType or OpenType, for other scripts")


def _reference(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        message = f"expected numbers with commas between, found {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def _odd_numbers(text: str) -> tuple[int, int]:
    try:
        frames, bins = (whole(part) for part in text.split(","))
    except (ValueError, argparse.ArgumentTypeError):
        message = f"expected two odd numbers with a comma between, as 5,3, found {text!r}"
        raise argparse.ArgumentTypeError(message) from None
    return frames, bins


def _widths(text: str) -> tuple[float, float]:
    try:
        ms, hz = (float(part) for part in text.split(","))
    except ValueError:
        message = f"expected two numbers with a comma between, as 20,10, found {text!r}"
        raise argparse.ArgumentTypeError(message) from None
    return ms, hz


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(",")
    try:
        return float(low), float(high)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected two numbers with a comma between, as 20,800, found {text!r}"
        ) from None


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    try:
        return whole(height), whole(width)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"expected HEIGHTxWIDTH in pixels, as 256x512, found {text!r}"
        ) from None
