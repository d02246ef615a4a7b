"""The recordings that the figures of learning are taken on, as pictures and features.

They are not part of this repository: `HEARTFAST_SHARED_DATA` says where they are (default
`../shared/data`), as for the tests. Which of them a choice was made on is `development`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np

import heartfast
from heartfast.extraction import extract_all
from heartfast.groups import picture_groups
from heartfast.images import PictureSet

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("HEARTFAST_SHARED_DATA", ROOT.parent / "shared" / "data"))
FOLDERS = {"pascal_b": ("pascal/set_b", "pascal"), "cinc2016": ("cinc2016", "cinc2016")}


class Corpus(NamedTuple):
    """Features (n, f), class numbers and groups (n,) of a corpus, and what its pictures say."""

    pictures: str
    features: np.ndarray
    actual: np.ndarray
    groups: np.ndarray
    classes: list[str]
    # Of each recording, for `development`.
    keys: list[str]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def pictures(name: str) -> str:
    """Convert a corpus with the default settings, once a process; return the folder."""
    folder, labels = FOLDERS[name]
    source = SHARED / folder
    if not source.is_dir():
        sys.exit(f"{source}: expected the recordings of {name}, found nothing; see README.md")
    out = os.path.join(tempfile.mkdtemp(prefix="heartfast-learning-"), name)
    heartfast.convert(source, out, labels=labels)
    return out


def corpus(name: str) -> Corpus:
    """Describe the labelled recordings of a corpus."""
    folder = pictures(name)
    with PictureSet(folder) as files:
        labelled = [picture for picture in files.pictures if picture.label]
        found = extract_all(files, [picture.name for picture in labelled])
        groups = picture_groups(labelled, files)
    classes, actual = np.unique([picture.label for picture in labelled], return_inverse=True)
    keys = [picture.group or picture.name for picture in labelled]
    return Corpus(folder, found.matrix, actual, np.array(groups), classes.tolist(), keys)


def development(key: str) -> bool:
    """Whether features and models were chosen by looking at this patient, or recording.

    Half of them, by a digest of the group (PASCAL B) or the file's name (CinC 2016). The other
    half was not looked at before the figures in BENCHMARKS.md were taken.
    """
    return hashlib.sha256(key.encode()).digest()[0] % 2 == 0


def save(name: str, results: dict[str, object]) -> None:
    """Write results beside those of the other benches."""
    now = datetime.now(timezone.utc)
    path = ROOT / "benches" / "results" / f"{now:%Y-%m-%d}-learning-{name}.json"
    path.write_text(json.dumps({"taken": f"{now:%Y-%m-%dT%H:%MZ}"} | results, indent=1) + "\n")
    say(f"wrote {path}")
