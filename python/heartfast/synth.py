"""Heart sounds that the package makes itself, for the demo and the tests.

Plausible to the ear and to a classifier, and nothing more: accuracy on these sounds says
nothing about patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heartfast import _heart
from heartfast.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CLASSES = ("extrasystole", "murmur", "normal")


def heart_sound(
    kind: str = "normal",
    *,
    seed: int = 0,
    duration_s: float = 8.0,
    sr: int = 4000,
    patient: int | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Make one recording of a heart that does not exist.

    Parameters
    ----------
    kind
        One of `CLASSES`. An extrasystole recording has at least one premature beat,
        if it is long enough to show it (4 s always are).
    seed
        What differs between recordings of one person: where the stethoscope sits, the
        rhythm from beat to beat, noises, level. The same seed with another kind is the
        same heart in the same room.
    duration_s
        Length in seconds, at least 0.1.
    sr
        Sample rate in Hz, at least 1000.
    patient
        What recordings of one person share: heart rate, pitch and balance of the
        sounds, chest, murmur, noise floor. None: a person made from `seed`.

    Returns
    -------
    samples, sr
        float32, shape `(round(duration_s * sr),)`, in [-1, 1]; and the sample rate.

    Raises
    ------
    ValueError
        An argument out of its range; the message names it.

    Examples
    --------
    >>> from heartfast.synth import heart_sound
    >>> y, sr = heart_sound("murmur", seed=3, duration_s=5)
    >>> y.shape, str(y.dtype), sr
    ((20000,), 'float32', 4000)
    """
    import numpy as np

    if kind not in CLASSES:
        raise UsageError(f"kind: expected one of {', '.join(CLASSES)}, found {kind!r}")
    _check_duration(duration_s)
    _check_count("sr", sr, 1000)
    _check_count("seed", seed, 0)
    if patient is not None:
        _check_count("patient", patient, 0)
    person = [0, seed] if patient is None else [1, patient]
    y = _heart.record(
        kind,
        _heart.draw_patient(np.random.Generator(np.random.PCG64(person))),
        _site(seed),
        np.random.SeedSequence([2, seed]),
        round(duration_s * sr),
        sr,
    )
    return y.astype(np.float32), sr


def _site(seed: int) -> str:
    return list(_heart.SITES)[seed % len(_heart.SITES)]


def _check_count(name: str, value: int, least: int) -> None:
    if not hasattr(value, "__index__") or value < least:
        raise UsageError(f"{name}: expected a whole number of at least {least}, found {value!r}")


def _check_duration(value: float) -> None:
    if not 0.1 <= value < float("inf"):
        raise UsageError(f"duration_s: expected at least 0.1 s, found {value!r}")


def write_wav(path: str | Path, samples: NDArray[np.floating], sr: int) -> None:
    """Write samples as 16-bit mono PCM; those beyond full scale are clipped.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    samples
        Shape `(n,)`, full scale 1.0. Multiples of 1/32768 come back as they are.
    sr
        Sample rate in Hz.

    Raises
    ------
    ValueError
        Samples that are not one channel of finite numbers, or a rate below 1.

    References
    ----------
    Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991),
    RIFF WAVE.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "beat.wav"
    >>> heartfast.synth.write_wav(path, [0.0, 0.5, -0.5], 4000)
    >>> heartfast.load(path)
    (array([ 0. ,  0.5, -0.5], dtype=float32), 4000)
    """
    from pathlib import Path

    Path(path).write_bytes(wav_bytes(samples, sr))


def wav_bytes(samples: NDArray[np.floating], sr: int) -> bytes:
    """What `write_wav` writes."""
    import struct

    import numpy as np

    y = np.asarray(samples, dtype=np.float64)
    if y.ndim != 1 or not np.isfinite(y).all():
        raise UsageError(f"samples: expected finite numbers of shape (n,), found shape {y.shape}")
    _check_count("sr", sr, 1)
    pcm = np.rint(y * 32768).clip(-32768, 32767).astype("<i2").tobytes()
    header = struct.pack(
        "<4sI8sIHHIIHH4sI",
        *(b"RIFF", 36 + len(pcm), b"WAVEfmt ", 16, 1, 1, sr, 2 * sr, 2, 16, b"data", len(pcm)),
    )
    return header + pcm


def write_corpus(
    folder: str | Path,
    *,
    patients: int = 60,
    recordings: int = 3,
    duration_s: tuple[float, float] = (4.0, 9.0),
    sr: int = 4000,
    seed: int = 0,
    unlabelled: int = 0,
) -> list[Path]:
    """Write a labelled corpus: `folder/<class>/<patient>_<site>_<n>.wav` and `labels.csv`.

    Some 60 % of the recordings are normal, 25 % murmur, 15 % extrasystole. A murmur is
    in every recording of its patient; premature beats come and go, so that an
    extrasystole patient also has normal recordings. Nothing but the sound tells the
    class: not length, level, noise, patient number or order.

    Parameters
    ----------
    folder
        Made if need be; files of the same names are replaced.
    patients, recordings
        Number of people, at least 3, and of recordings of each.
    duration_s
        Shortest and longest recording in seconds.
    sr, seed
        As in `heart_sound`. The same arguments give the same bytes.
    unlabelled
        Number of recordings, of people not among `patients`, that go to
        `folder/unlabelled` and have an empty label.

    Returns
    -------
    list of Path
        The recordings in the order of `labels.csv`, whose columns are file_name
        (relative, with `/`), label, group (the patient) and source (`synthetic`).

    Raises
    ------
    ValueError
        An argument out of its range; the message names it.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> paths = heartfast.synth.write_corpus(folder, patients=4, recordings=2)
    >>> len(paths), paths[0].parent.name in heartfast.synth.CLASSES
    (8, True)
    """
    from pathlib import Path

    import numpy as np

    _check_count("patients", patients, 3)
    _check_count("recordings", recordings, 1)
    _check_count("unlabelled", unlabelled, 0)
    _check_count("sr", sr, 1000)
    _check_count("seed", seed, 0)
    if len(duration_s) != 2 or duration_s[0] > duration_s[1]:
        raise UsageError(f"duration_s: expected (shortest, longest), found {duration_s!r}")
    for seconds in duration_s:
        _check_duration(seconds)

    rng = np.random.Generator(np.random.PCG64([3, seed]))
    folder = Path(folder)
    for name in (*CLASSES, *(["unlabelled"] if unlabelled else [])):
        (folder / name).mkdir(parents=True, exist_ok=True)

    # Who has what, by patient: a murmur always, premature beats in two recordings of three.
    ectopic = max(1, round(recordings * 2 / 3))
    murmurs = max(1, round(0.25 * patients))
    extrasystoles = max(1, round(0.15 * patients * recordings / ectopic))
    who = ["murmur"] * murmurs + ["extrasystole"] * extrasystoles
    who += ["normal"] * (patients - len(who))
    strangers = -(-unlabelled // recordings)
    drawn = rng.choice(CLASSES, size=strangers, p=[0.15, 0.25, 0.6])
    number = rng.permutation(len(who) + strangers) + 1

    rows = []
    for i, condition in enumerate([*who, *drawn]):
        person = int(rng.integers(2**62))
        kinds = [condition] * recordings
        if condition == "extrasystole":
            for j in rng.permutation(recordings)[ectopic:]:
                kinds[j] = "normal"
        if i >= len(who):
            kinds = kinds[: unlabelled - (i - len(who)) * recordings]
        for j, kind in enumerate(kinds, 1):
            take = int(rng.integers(2**62))
            label = kind if i < len(who) else ""
            name = f"{label or 'unlabelled'}/{number[i]:03}_{_site(take)}_{j}.wav"
            seconds = rng.uniform(*duration_s)
            y, _ = heart_sound(kind, seed=take, duration_s=seconds, sr=sr, patient=person)
            write_wav(folder / name, y, sr)
            rows.append(f"{name},{label},{number[i]:03},synthetic\n")
    rows.sort(key=lambda row: row.split("/")[1])  # by patient: the order tells no class
    (folder / "labels.csv").write_text(
        "file_name,label,group,source\n" + "".join(rows), encoding="ascii", newline=""
    )
    return [folder / row.split(",")[0] for row in rows]
