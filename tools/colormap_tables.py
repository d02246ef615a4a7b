"""Write rust/heartfast-core/src/colormap_tables.rs.

Viridis, magma, inferno and plasma are matplotlib's tables (Nathaniel Smith, Stefan van der Walt,
Eric Firing; CC0), as are cividis (Jamie Nunez, Christopher Anderton, Ryan Renslow, PLOS ONE 13
(2018); CC0) and turbo (Anton Mikhailov, Google; Apache-2.0). The others are made here,
after the looks of those that soundgen offers under these names. Run with matplotlib installed:

    python tools/colormap_tables.py
"""

from pathlib import Path

import matplotlib
import numpy as np

NAMES = ("viridis", "magma", "inferno", "plasma", "cividis", "turbo")
OUT = Path(__file__).parent.parent / "rust/heartfast-core/src/colormap_tables.rs"
# Colours at shares of the range, and straight lines between them.
MADE = {
    "bw": [(0, (255, 255, 255)), (1, (0, 0, 0))],
    "seewave": [
        (0, (255, 255, 255)), (0.12, (206, 221, 255)), (0.34, (64, 96, 240)), (0.46, (0, 168, 214)),
        (0.58, (60, 190, 90)), (0.74, (250, 225, 40)), (0.87, (244, 130, 30)), (1, (190, 0, 20)),
    ],
    "heat": [(0, (255, 255, 255)), (0.25, (255, 255, 0)), (1, (255, 0, 0))],
}  # fmt: skip


def table(name: str) -> list[list[int]]:
    """256 colours."""
    if name in MADE:
        at, colours = zip(*MADE[name], strict=True)
        shares = np.linspace(0, 1, 256)
        channels = [np.interp(shares, at, channel) for channel in zip(*colours, strict=True)]
        return np.rint(np.transpose(channels)).astype(int).tolist()
    return matplotlib.colormaps[name](range(256), bytes=True)[:, :3].tolist()


lines = [
    "//! 256 colours of each map, 8-bit sRGB. Written by `tools/colormap_tables.py`, which says",
    "//! where they are from.",
]
for name in (*NAMES, *MADE):
    colours = table(name)
    lines += ["", "#[rustfmt::skip]", f"pub(crate) const {name.upper()}: [[u8; 3]; 256] = ["]
    for row in range(0, 256, 6):
        lines.append("    " + " ".join(f"[{r}, {g}, {b}]," for r, g, b in colours[row : row + 6]))
    lines.append("];")
OUT.write_text("\n".join(lines) + "\n")
