"""How well recordings of another kind are told from those of the training, by three distances.

    python benches/learning/novelty.py

Half of the groups of PASCAL set B, or of synthetic hearts, or of CinC 2016, are the training; the
other half is new and of its kind. Everything else is of another; speech is left out where
espeak-ng is not installed. The table is in docs/operating-points.md.
"""

from __future__ import annotations

import glob
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from corpora import SHARED, save
from threadpoolctl import threadpool_limits

import heartfast
from heartfast import novelty
from heartfast.extraction import extract_all
from heartfast.images import PictureSet

TEXTS = (
    "the quick brown fox jumps over the lazy dog and then goes home",
    "patient number twelve was seen at nine in the morning",
    "please listen to the heart sounds of this person",
)


def write_noise(folder: Path) -> None:
    """Write 60 recordings: white noise, red noise and tones."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for index in range(60):
        n = int(4000 * rng.uniform(2, 12))
        noise, tone = rng.normal(size=n), np.sin(np.arange(n) * rng.uniform(0.08, 2.3))
        samples = (noise, np.cumsum(noise) - np.linspace(0, noise.sum(), n), tone + 0.01 * noise)
        y = samples[index % 3]
        y = (0.8 * y / np.abs(y).max()).astype(np.float32)
        heartfast.synth.write_wav(folder / f"{index:03d}.wav", y, 4000)


def write_speech(folder: Path) -> None:
    """Write 30 sentences."""
    folder.mkdir()
    for index in range(30):
        voice, text = ("en", "en-us", "de", "fr", "es")[index % 5], TEXTS[index % 3]
        command = ["espeak-ng", "-v", voice, "-s", str(120 + 2 * index), "-w"]
        subprocess.run([*command, folder / f"{index:03d}.wav", text], check=True)


def described(paths: list[str]) -> tuple[np.ndarray, list[str]]:
    """Features (n, f) of recordings, at 4 kHz at most, and their names."""
    with tempfile.TemporaryDirectory() as folder:
        sr = None if "set_b" in paths[0] or "/synth" in paths[0] else 4000
        made = heartfast.convert(paths, folder + "/p", labels="none", sr=sr)
        recording = {record.file_name: str(record.recording) for record in made.records}
        with PictureSet(folder + "/p") as pictures:
            names = [picture.name for picture in pictures.pictures]
            found = extract_all(pictures, names)
    return found.matrix, [recording[names[row]] for row in found.rows]


def group(path: str) -> str:
    """Return the patient of a recording of PASCAL's or a synthetic one, else its own name."""
    match = re.search(r"(\d+)_\d{13}", path) or re.search(r"(synth/.*)_\d+\.wav$", path)
    return match[1] if match else path


def euclidean(fitted, features, _):
    """Root mean square of standardised, clipped features."""
    return np.sqrt((scaled(fitted, features) ** 2).mean(axis=1))


def nearest(fitted, features, train, k=5):
    """Mean distance to the five nearest recordings of the training."""
    one, other = scaled(fitted, features), scaled(fitted, train)
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return np.sqrt(np.sort(squares.clip(0), axis=1)[:, :k].mean(axis=1))


def mahalanobis(fitted, features, _):
    """Heartfast's own."""
    return novelty.distances(fitted, features)


def scaled(fitted, features):
    """Standardise and clip."""
    clipped = np.clip((features - fitted["mean"]) / fitted["scale"], -novelty.CLIP, novelty.CLIP)
    return clipped - fitted["centre"]


def auc(new: np.ndarray, other: np.ndarray) -> float:
    """Share of pairs in which the recording of another kind is the farther one."""
    order = np.sort(new)
    below = np.searchsorted(order, other) + np.searchsorted(order, other, side="right")
    return float(below.mean() / 2 / len(new))


def main() -> None:
    """Print a table in Markdown for each training set, and save what is in it."""
    results: dict[str, object] = {"seed": 0}
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        write_noise(made / "noise")
        if shutil.which("espeak-ng"):
            write_speech(made / "speech")
        heartfast.synth.write_corpus(made / "synth", patients=100, recordings=2)
        patterns = {
            "PASCAL B": f"{SHARED}/pascal/set_b/*.wav",
            "CinC 2016": f"{SHARED}/cinc2016/**/*.flac",
            "synthetic": f"{made}/synth/**/*.wav",
            "PASCAL A": f"{SHARED}/pascal/set_a/*.flac",
            "cats and dogs": f"{SHARED}/soundgen_reference/**/*.wav",
            "noise, tones": f"{made}/noise/*.wav",
            "speech": f"{made}/speech/*.wav",
        }
        sets = {
            name: described(paths)
            for name, pattern in patterns.items()
            if (paths := sorted(glob.glob(pattern, recursive=True)))
        }
    for base in ("PASCAL B", "synthetic", "CinC 2016"):
        features, names = sets[base]
        groups = np.unique([group(name) for name in names], return_inverse=True)[1]
        half = np.random.default_rng(0).permutation(groups.max() + 1)[: (groups.max() + 1) // 2]
        training = np.isin(groups, half)
        train, new = features[training], features[~training]
        fitted = novelty.fit(train, groups[training])
        others = [name for name in sets if name != base]
        print(f"\nTrained on half of {base} ({len(train)}), new: the other half ({len(new)})\n")
        print("| distance | new ones refused at 1 % | " + " | ".join(others) + " |")
        print("|---" * (len(others) + 2) + "|")
        rows: dict[str, object] = {}
        for distance in (euclidean, nearest, mahalanobis):
            left_out = np.empty(len(train))
            folds = groups[training] % 10
            for fold in np.unique(folds):
                out = folds == fold
                part = novelty.fit(train[~out], groups[training][~out])
                left_out[out] = distance(part, train[out], train[~out])
            limit = np.quantile(left_out, 0.99)
            far = distance(fitted, new, train)
            shares = {"new ones": float((far > limit).mean())}
            aucs = {}
            for name in others:
                other = distance(fitted, sets[name][0], train)
                shares[name] = float((other > limit).mean())
                aucs[name] = auc(far, other)
            rows[distance.__name__] = {"refused": shares, "auc": aucs}
            cells = " | ".join(f"{shares[name]:.0%} ({aucs[name]:.3f})" for name in others)
            print(f"| {distance.__name__} | {shares['new ones']:.1%} | {cells} |")
        results[f"trained on half of {base}"] = rows
    save("novelty", results)


if __name__ == "__main__":
    with threadpool_limits(2):
        main()
