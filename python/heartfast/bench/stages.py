"""Where the time of a conversion goes: python -m heartfast.bench.stages FOLDER [PASSES].

Prints the seconds of each stage for the recordings of a folder, one thread, as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from heartfast._core import SpectrogramConfig, stage_times


def time_stages(source: Path, passes: int = 5) -> dict[str, float]:
    """Seconds of each stage for all WAVs of a folder together, one thread.

    For each recording and stage the least of the passes counts: what was interrupted does not
    tell what the work takes.
    """
    with tempfile.TemporaryDirectory() as pictures:
        tasks = [
            (str(path), str(Path(pictures, f"{path.stem}.png")))
            for path in sorted(source.glob("*.wav"))
        ]
        return stage_times(tasks, SpectrogramConfig(), passes)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(time_stages(Path(sys.argv[1]), *map(int, sys.argv[2:]))) + "\n")
