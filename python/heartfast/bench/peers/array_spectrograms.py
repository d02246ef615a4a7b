"""Magnitudes of a minute of noise in memory: python array_spectrograms.py [ROUNDS [SECONDS]].

heartfast's array API beside other libraries', in one process, one thread, by turns. Prints JSON:
for each name the CPU seconds of every round, or why it is not there. Every library gets the same
window and hop, float32, and what can be made beforehand; the result is checked once.
"""

import json
import sys
import time

import numpy as np

import heartfast

SR, N, HOP = 44100, 2205, 1103


def ours(y, window):
    return lambda: heartfast.spectrogram(y, SR, jobs=1).values


def librosa(y, window):
    import librosa

    return lambda: np.abs(librosa.stft(y, n_fft=N, hop_length=HOP, window=window))


def scipy_signal(y, window):
    from scipy.signal import stft

    # It divides by the window's sum; undone beforehand.
    y = y * window.sum(dtype=np.float32)
    return lambda: np.abs(stft(y, window=window, nperseg=N, noverlap=N - HOP, padded=False)[2])


def scipy_fft(y, window):
    from scipy.fft import rfft

    def run():
        padded = np.pad(y, N // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, N)[::HOP]
        return np.abs(rfft(frames * window, overwrite_x=True)).T

    return run


def torch(y, window):
    import torch

    torch.set_num_threads(1)
    y, window = torch.from_numpy(y), torch.from_numpy(window)

    @torch.inference_mode()
    def run():
        z = torch.stft(y, N, HOP, window=window, pad_mode="constant", return_complex=True)
        return z.abs().numpy()

    return run


def spectrograms(y, window):
    import spectrograms as sg

    shape = sg.StftParams(N, HOP, sg.WindowType.custom(window.astype(float)), centre=True)
    params = sg.SpectrogramParams(shape, SR)
    plan = sg.SpectrogramPlanner().linear_magnitude_plan(params, dtype="float32")
    return lambda: np.asarray(plan.compute(y).data)


CONTENDERS = {
    "heartfast.spectrogram": ours,
    "librosa.stft": librosa,
    "scipy.signal.stft": scipy_signal,
    "scipy.fft.rfft of all frames": scipy_fft,
    "torch.stft": torch,
    "spectrograms": spectrograms,
}

rounds, seconds = (int(word) for word in (*sys.argv[1:], *("5", "60")[len(sys.argv) - 1 :]))
y = np.random.default_rng(0).standard_normal(seconds * SR).astype(np.float32) / 8
window = heartfast.get_window("gaussian", N).astype(np.float32)
expected = ours(y, window)()
runs, result = {}, {}
for name, prepare in CONTENDERS.items():
    try:
        runs[name] = prepare(y, window)
    except ImportError as error:
        result[name] = f"skipped: {error}"
        continue
    values = runs[name]()
    if values.shape != expected.shape or values.dtype != np.float32:
        sys.exit(f"{name}: expected {expected.shape} float32, found {values.shape} {values.dtype}")
    if not np.allclose(values, expected, rtol=1e-3, atol=1e-3 * expected.max()):
        sys.exit(f"{name}: not the magnitudes of heartfast")
    result[name] = []
for _ in range(rounds):
    for name, run in runs.items():
        start = time.process_time()
        run()
        result[name].append(time.process_time() - start)
print(json.dumps(result))
