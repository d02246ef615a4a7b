"""Write rust/heartfast-core/src/colormap_tables.rs.

The tables are those of matplotlib's viridis, magma, inferno and plasma (Nathaniel Smith,
Stefan van der Walt, Eric Firing; CC0). Run with matplotlib installed:

    python tools/colormap_tables.py
"""

from pathlib import Path

import matplotlib

NAMES = ("viridis", "magma", "inferno", "plasma")
OUT = Path(__file__).parent.parent / "rust/heartfast-core/src/colormap_tables.rs"

lines = [
    "//! 256 colours of each map, 8-bit sRGB. Written by `tools/colormap_tables.py` from",
    "//! matplotlib's tables, which are in the public domain (CC0).",
]
for name in NAMES:
    colours = matplotlib.colormaps[name](range(256), bytes=True)[:, :3].tolist()
    lines += ["", "#[rustfmt::skip]", f"pub(crate) const {name.upper()}: [[u8; 3]; 256] = ["]
    for row in range(0, 256, 6):
        lines.append("    " + " ".join(f"[{r}, {g}, {b}]," for r, g, b in colours[row : row + 6]))
    lines.append("];")
OUT.write_text("\n".join(lines) + "\n")
