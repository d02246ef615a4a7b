"""What a type checker says of code that uses the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# mypy complains of a comment that nothing needs, so each of these is an error that it sees.
USE = """
import numpy as np
import heartfast

y = np.zeros(4000, np.float32)
spec = heartfast.spectrogram(y, 4000, window_ms=25, overlap=75, ref="max", size=(64, 64))
heartfast.spectrogram(y, 4000, windowms=25)  # type: ignore[call-arg]
heartfast.spectrogram(y, 4000, window_ms="25")  # type: ignore[arg-type]
heartfast.spectrogram(y, 4000, ref="loudest")  # type: ignore[arg-type]
spec.config.replace(colormap="magma", fmax=None)
spec.config.replace(colour="magma")  # type: ignore[call-arg]
heartfast.SpectrogramConfig(overlap=50, detrend="constant")
heartfast.SpectrogramConfig(50)  # type: ignore[call-arg, arg-type]
heartfast.SpectrogramConfig(detrend="linear")  # type: ignore[arg-type]
heartfast.load("x.wav", 8000)  # type: ignore[call-arg]
samples, sr = heartfast.load("x.wav", sr=8000)
heartfast.stft(samples, jobs="all")  # type: ignore[arg-type]
result = heartfast.convert("in", "out", labels="folders", jobs=2)
result.records[0].duration_s + 1
result.records[0].seconds  # type: ignore[attr-defined]
heartfast.score("m", ["a.wav"], columns="full").probabilities.mean()


def watch(progress: heartfast.Progress) -> None:
    print(progress.stage, progress.done / progress.total)


heartfast.convert("in", "out", progress=watch)
heartfast.convert("in", "out", progress=len)  # type: ignore[arg-type]
"""


def test_wrong_use_is_told(tmp_path: Path) -> None:
    script = tmp_path / "use.py"
    script.write_text(USE)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")),
            *("--disable-error-code", "import-untyped", str(script)),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
