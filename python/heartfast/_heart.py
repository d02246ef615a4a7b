"""A beating heart under a stethoscope: the model behind `heartfast.synth`.

A beat is two valve closures: S1 (mitral, then tricuspid), low and long, and S2 (aortic,
then pulmonary), higher and shorter, split further apart while breathing in. Around them
lie what a listener looks for, a murmur or a beat that comes too early, and what gets in
the way: breath, friction, voices, knocks, the room. Frequencies, intervals and grades
are the textbook ranges of adults; none is fitted to recordings.

Three layers: `Patient` is what all recordings of a person share, `Beats` is the rhythm
of one recording, `record` is its sound. Levels are relative to S1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Where the stethoscope sits, and how much louder S2 is there than on average, in dB.
SITES = {"aortic": 4.0, "pulmonary": 3.0, "tricuspid": -1.0, "mitral": -3.0}

# Partials of one valve closure: frequency in Hz, level in dB, decay time in s.
S1 = ((42.0, 0.0, 0.034), (68.0, -1.0, 0.030), (110.0, -8.0, 0.020), (230.0, -24.0, 0.010))
S2 = ((62.0, 0.0, 0.024), (98.0, -2.0, 0.020), (165.0, -8.0, 0.014), (330.0, -18.0, 0.006))
S3 = ((32.0, 0.0, 0.030), (46.0, -4.0, 0.025))
SNAP = ((420.0, 0.0, 0.003), (690.0, -2.0, 0.002))  # the very first of S2, far up

# Murmurs: band in Hz, and how common each is.
MURMURS = {
    "ejection": (100.0, 400.0, 0.35),
    "holosystolic": (150.0, 600.0, 0.35),
    "early diastolic": (180.0, 550.0, 0.18),
    "rumble": (40.0, 150.0, 0.12),
}


class Patient(NamedTuple):
    """What the recordings of one person have in common."""

    rate: float  # beats a minute
    jitter: float  # variation of the interval from beat to beat, relative
    arrhythmia: float  # and with the breath, relative
    breaths: float  # a second
    pitch: tuple[float, float]  # factors on the partials of S1 and S2
    balance: float  # S2 over S1, dB
    snap: float  # dB
    split: tuple[float, float]  # from A2 to P2 while breathing out and in, s
    corner: float  # above it chest and stethoscope swallow, Hz
    third: float  # amplitude of S3, 0 in most
    murmur: str
    grade: float  # of the murmur, in murmur recordings, dB
    innocent: float  # amplitude of a flow murmur that means nothing, 0 in most
    ectopy: float  # chance that a beat is premature, in extrasystole recordings
    coupling: float  # interval before a premature beat, relative
    pause: float  # share of the time lost that the next interval gives back
    floor: float  # noise that is always there, dB


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw a person; murmur and ectopy are only heard in recordings of that class."""
    kinds = list(MURMURS)
    return Patient(
        rate=rng.triangular(55, 72, 110),
        jitter=rng.uniform(0.008, 0.03),
        arrhythmia=rng.uniform(0.0, 0.06) if rng.random() < 0.8 else rng.uniform(0.06, 0.14),
        breaths=rng.uniform(0.2, 0.35),
        pitch=(rng.uniform(0.85, 1.2), rng.uniform(0.85, 1.2)),
        balance=rng.normal(0.0, 2.5),
        snap=rng.uniform(-20, -2),
        split=(rng.uniform(0.005, 0.015), rng.uniform(0.025, 0.045)),
        corner=rng.uniform(110, 260),
        third=rng.uniform(0.08, 0.25) if rng.random() < 0.1 else 0.0,
        murmur=kinds[rng.choice(len(kinds), p=[share for _, _, share in MURMURS.values()])],
        grade=rng.uniform(-13, 1),
        innocent=gain(rng.uniform(-28, -20)) if rng.random() < 0.1 else 0.0,
        ectopy=rng.uniform(0.04, 0.22),
        coupling=rng.uniform(0.55, 0.75),
        pause=rng.uniform(0.7, 1.0),
        floor=rng.uniform(-48, -30),
    )


class Beats(NamedTuple):
    """When the valves close in one recording, and how loudly: one value a beat."""

    s1: Floats  # s, rising; the first lies before the recording, the last after it
    systole: Floats  # from S1 to S2, s
    loud1: Floats
    loud2: Floats
    inspiration: Floats  # from -1, out, to 1, in


def draw_beats(
    rng: np.random.Generator, patient: Patient, breath: float, duration_s: float, ectopic: bool
) -> Beats:
    """Draw a rhythm; `breath` is the phase of the breath at the start, in radians."""
    import numpy as np

    mean = 60 / patient.rate
    n = int(duration_s / mean * 1.4) + 6
    start = -mean * rng.uniform(1.0, 2.0)
    about = start + mean * np.arange(n)  # near enough where the exact time hardly matters
    inspiration = np.sin(breath + 2 * np.pi * patient.breaths * about)
    drift = np.linspace(0, rng.normal(0, 0.03), n)
    rr = mean * (1 + drift - patient.arrhythmia * inspiration)  # faster while breathing in
    rr *= 1 + patient.jitter * rng.standard_normal(n).clip(-2.5, 2.5)
    # Systole shortens with the square root of the interval (Bazett): 0.33 s at 60 a minute.
    systole = 0.33 * np.sqrt(rr) * (1 + 0.015 * rng.standard_normal(n).clip(-2.5, 2.5))
    loud1, loud2 = np.exp(0.1 * rng.standard_normal((2, n)) - 0.1 * inspiration)

    if ectopic:
        early = rng.random(n) < patient.ectopy
        early[1:] &= ~early[:-1]
        early[[0, -1]] = False
        # One for sure, and not so near an end that its neighbours are cut off.
        edge = 1.3 * mean
        sure = np.abs(about - edge - rng.random() * max(0.0, duration_s - 2 * edge)).argmin()
        early[sure - 1 : sure + 2] = False, True, False
        i = np.flatnonzero(early)
        coupling = patient.coupling * (1 + 0.03 * rng.standard_normal(len(i)).clip(-2, 2))
        rr[i] *= 1 + patient.pause * (1 - coupling)
        rr[i - 1] *= coupling
        # The ventricle has hardly filled: S1 hard or faint, little to eject, S2 weak;
        # after the pause there is more.
        systole[i] *= 0.92
        loud1[i] *= rng.uniform(0.6, 1.4, len(i))
        loud2[i] *= rng.uniform(0.2, 0.7, len(i))
        loud1[i + 1] *= 1.15
        loud2[i + 1] *= 1.15
    return Beats(start + np.cumsum(rr) - rr, systole, loud1, loud2, inspiration)


def gain(db: float) -> float:
    """Turn decibels into a factor on amplitudes."""
    return float(10 ** (db / 20))


def strike(
    n: int,
    sr: int,
    onsets: Floats,
    levels: Floats,
    partials: Sequence[tuple[float, float, float]],
    *,
    attack_s: float = 0.004,
) -> Floats:
    """Sound damped partials from each onset (s) on: a closing valve, a knock."""
    import numpy as np

    tail = 6 * max(decay for _, _, decay in partials)
    heard = (onsets > -tail) & (onsets < n / sr)
    onsets, levels = onsets[heard, None], levels[heard, None]
    at = np.ceil(onsets * sr).astype(np.int64) + np.arange(int(tail * sr) + 1)
    t = at / sr - onsets
    wave = np.zeros(t.shape)
    for i, (hz, db, decay) in enumerate(partials):
        wave += gain(db) * np.sin(2 * np.pi * hz * t + i) * np.exp(t * (-1 / decay))
    wave *= levels * (1 - np.exp(t * (-1 / attack_s)))
    inside = (at >= 0) & (at < n)
    y = np.zeros(n)
    np.add.at(y, at[inside], wave[inside])
    return y


def noise(rng: np.random.Generator, n: int, sr: int, low: float, high: float) -> Floats:
    """Draw Gaussian noise of unit power from `low` to `high` Hz, 12 dB an octave beyond."""
    import numpy as np

    size = 1 << max(n - 1, 1023).bit_length()
    f = np.fft.rfftfreq(size, 1 / sr)[1:]
    shape = 1 / np.sqrt((1 + (low / f) ** 4) * (1 + (f / high) ** 4))
    spectrum = np.zeros(len(f) + 1, dtype=np.complex128)
    spectrum[1:] = rng.standard_normal(2 * len(f)).view(np.complex128) * shape
    y: Floats = np.fft.irfft(spectrum, size)[:n]
    return y * float(size / (2 * np.sqrt(np.sum(shape**2))))


def through_chest(y: Floats, sr: int, corner: float) -> Floats:
    """Filter as chest wall and stethoscope do: pass from about 15 Hz to the corner."""
    import numpy as np

    size = 1 << (len(y) + sr // 4).bit_length()
    f = np.fft.rfftfreq(size, 1 / sr)
    shape = f**2 / (f**2 + 15.0**2) / np.sqrt(1 + (f / corner) ** 3)
    passed: Floats = np.fft.irfft(np.fft.rfft(y, size) * shape, size)[: len(y)]
    return passed


def murmur(rng: np.random.Generator, kind: str, beats: Beats, n: int, sr: int) -> Floats:
    """Draw the turbulence of one kind of murmur, its envelope about 1 at most."""
    import numpy as np

    t = np.arange(n) / sr
    beat = np.searchsorted(beats.s1, t, side="right") - 1
    since = t - beats.s1[beat]
    length = beats.systole[beat]
    systole = since / length  # 0 at S1, 1 at S2
    diastole = (since - length) / (np.diff(beats.s1)[beat] - length)  # 0 at S2, 1 at S1
    envelope: Floats
    if kind == "ejection":  # rises and falls
        envelope = np.sin(np.pi * ((systole - 0.15) / 0.8).clip(0, 1)) ** 1.5
    elif kind == "holosystolic":  # even, into S2
        envelope = ((systole - 0.05) / 0.15).clip(0, 1) * ((1.05 - systole) / 0.1).clip(0, 1)
    elif kind == "early diastolic":  # begins with S2 and dies away
        envelope = (diastole / 0.05).clip(0, 1) * np.exp(-4 * diastole.clip(0))
    else:  # a rumble in mid-diastole, and again before S1
        envelope = np.sin(np.pi * ((diastole - 0.2) / 0.5).clip(0, 1))
        envelope += 0.8 * ((diastole - 0.75) / 0.25).clip(0, 1)
    strength = beats.loud2 * np.exp(0.12 * rng.standard_normal(len(beats.s1)))
    low, high, _ = MURMURS[kind]
    shift = rng.uniform(0.85, 1.2)
    return envelope * strength[beat] * noise(rng, n, sr, low * shift, high * shift)


def voice(rng: np.random.Generator, n: int, sr: int) -> Floats:
    """Draw someone speaking in the room: gliding harmonics."""
    import numpy as np

    pitch = rng.uniform(100, 220) * np.exp(0.1 * noise(rng, n, sr, 0.3, 2).clip(-2.5, 2.5))
    phase = 2 * np.pi * np.cumsum(pitch) / sr
    y = np.zeros(n)
    for h in range(1, min(8, sr // 600) + 1):
        y += np.sin(h * phase + h) / h
    y *= noise(rng, n, sr, 1, 4).clip(0, 2)  # syllables
    return y


def disturbance(
    rng: np.random.Generator, patient: Patient, breath: float, n: int, sr: int
) -> Floats:
    """Draw everything on a recording that is not the heart."""
    import numpy as np

    t = np.arange(n) / sr
    y = gain(patient.floor + rng.normal(0, 3)) * noise(rng, n, sr, 15, 200)
    # Air rushes in and, more softly, out.
    flow = np.sin(breath + 2 * np.pi * patient.breaths * t + 0.8)
    flow = np.where(flow > 0, flow, -0.4 * flow) ** 2
    y += gain(rng.uniform(-50, -24)) * flow * noise(rng, n, sr, 150, 500)
    if rng.random() < 0.2:  # the membrane rubs on skin or cloth
        rub = np.exp(1.2 * noise(rng, n, sr, 0.5, 4).clip(-3, 2.5))
        y += gain(rng.uniform(-44, -26)) * rub * noise(rng, n, sr, 40, 350)
    if rng.random() < 0.1:
        y += gain(rng.uniform(-26, -10)) * through_chest(voice(rng, n, sr), sr, 200)
    knocks = rng.poisson(n / sr * (0.5 if rng.random() < 0.3 else 0.05))
    return y + strike(
        n,
        sr,
        rng.uniform(0, n / sr, knocks),
        np.exp(rng.normal(-1.2, 0.7, knocks)),
        [(rng.uniform(90, 300), 0.0, 0.012), (rng.uniform(300, 450), -4.0, 0.006)],
        attack_s=0.0008,
    )


def record(
    kind: str, patient: Patient, site: str, seed: np.random.SeedSequence, n: int, sr: int
) -> Floats:
    """Record `n` samples; the same seed is the same heart and room, whatever the kind."""
    import numpy as np

    rhythm, valves, turbulence, room, knob = (
        np.random.Generator(np.random.PCG64(child)) for child in seed.spawn(5)
    )
    breath = rhythm.uniform(0, 2 * np.pi)
    beats = draw_beats(rhythm, patient, breath, n / sr, kind == "extrasystole")

    s2 = beats.s1 + beats.systole
    tricuspid = beats.s1 + valves.uniform(0.018, 0.03)
    out, in_ = patient.split
    pulmonary = s2 + out + (in_ - out) * beats.inspiration.clip(0, 1)
    loud2 = beats.loud2 * gain(patient.balance + SITES[site] + valves.normal(0, 1))
    pitch1, pitch2 = patient.pitch
    y = np.zeros(n)
    for onsets, levels, partials, pitch in (
        (beats.s1, beats.loud1, S1, pitch1),
        (tricuspid, 0.6 * beats.loud1, S1, pitch1),
        (s2, loud2, S2, pitch2),
        (pulmonary, 0.45 * loud2, S2, 0.9 * pitch2),
        (s2 + 0.14, patient.third * beats.loud2, S3, 1.0),
    ):
        tuned = [(hz * pitch * valves.uniform(0.96, 1.04), db, tau) for hz, db, tau in partials]
        y += strike(n, sr, onsets, levels, tuned)
    y += strike(n, sr, s2, gain(patient.snap) * loud2, SNAP, attack_s=0.0005)
    if kind == "murmur":  # not carried equally well to every site
        heard = gain(patient.grade - turbulence.uniform(0, 5))
        y += heard * murmur(turbulence, patient.murmur, beats, n, sr)
    elif patient.innocent:
        y += patient.innocent * murmur(turbulence, "ejection", beats, n, sr)

    y = through_chest(y, sr, patient.corner) + disturbance(room, patient, breath, n, sr)
    y *= np.exp(0.15 * noise(room, n, sr, 0.05, 0.5).clip(-2, 2))  # the hand's pressure
    # A murmur lowers the ratio of peak to power: scale by both, so neither tells the class.
    size = np.sqrt(np.abs(y).max() * np.sqrt(np.mean(y**2)))
    recorded: Floats = (y * (gain(knob.normal(-14, 4)) / size)).clip(-1, 1)
    return recorded
