"""The levels of a picture as a viewer shows it: on white, and turned as its Exif says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_STRIP_PIXELS = 1 << 20  # that are composed at a time
_EXIF = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}  # where Pillow finds it
_ORIENTATION = 0x0112


def levels_shown(image: Image.Image) -> NDArray[np.uint8]:
    """Levels of a picture as a viewer shows it, on white."""
    import numpy as np
    from PIL import Image

    clear = image.info.get("transparency")
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        levels = (deep >> 8).astype(np.uint8)
        if isinstance(clear, int):
            levels[deep == clear] = 255
    elif image.mode == "L" and clear is None:
        levels = np.asarray(image)
    else:
        levels = np.empty((image.height, image.width), np.uint8)
        rows = max(1, _STRIP_PIXELS // max(1, image.width))
        for top in range(0, image.height, rows):
            # By way of RGBA, because Pillow warns of palettes with transparency.
            strip = image.crop((0, top, image.width, min(top + rows, image.height)))
            strip = strip.convert("RGBA")
            white = Image.new("RGBA", strip.size, "white")
            levels[top : top + rows] = np.asarray(Image.alpha_composite(white, strip).convert("L"))
    return _turned(levels, image)


def _turned(levels: NDArray[np.uint8], image: Image.Image) -> NDArray[np.uint8]:
    """Turn a picture as its Exif says; where that is damaged, a viewer does not either."""
    import numpy as np

    if not _EXIF & image.info.keys():
        return levels
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # of a damaged one Pillow raises nearly anything
        return levels
    if orientation in (5, 6, 7, 8):
        levels = levels.T
    # What is then mirrored: left and right, up and down.
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return np.ascontiguousarray(levels[:: -1 if down else 1, :: -1 if across else 1])
