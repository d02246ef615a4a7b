"""The R function's twin."""

from __future__ import annotations

import pytest
from PIL import Image

import heartfast


@pytest.fixture
def folder(tmp_path):
    for k, name in enumerate(("a.wav", "b & <i>.wav")):
        heartfast.synth.write_wav(tmp_path / name, *heartfast.synth.heart_sound(seed=k))
    (tmp_path / "broken.wav").write_bytes(b"RIFF????WAVE")
    (tmp_path / "x.wav.txt").write_text("no recording")
    return tmp_path


def test_pictures_and_page_are_beside_the_recordings(folder) -> None:
    failed = heartfast.spectrogram_folder(
        folder, htmlPlots=True, windowLength=50, step=None, overlap=50, wn="gaussian", zp=0,
        ylim=None, osc=True, xlab="Time, s", ylab="kHz", width=900, height=500,
    )  # fmt: skip
    assert [error.path for error in failed] == [str(folder / "broken.wav")]
    assert sorted(path.name for path in folder.iterdir()) == [
        "00_clickable_plots.html", "a.png", "a.wav", "b & <i>.png", "b & <i>.wav", "broken.wav",
        "x.wav.txt",
    ]  # fmt: skip
    with Image.open(folder / "a.png") as image:
        assert image.size == (900, 500)
    page = (folder / "00_clickable_plots.html").read_text()
    assert '"count":2' in page
    assert "<i>.wav" not in page
    assert "broken" not in page
    # A second time, with other settings: drawn anew.
    heartfast.spectrogram_folder(folder, html_plots=False, ylim=(0.02, 0.8), osc="db", height=300)
    with Image.open(folder / "a.png") as image:
        assert image.size == (900, 300)


def test_names_of_one_stem_do_not_overwrite_each_other(tmp_path) -> None:
    heartfast.synth.write_wav(tmp_path / "x.wav", *heartfast.synth.heart_sound(seed=1))
    heartfast.synth.write_wav(tmp_path / "x.mp3", *heartfast.synth.heart_sound(seed=2))
    assert heartfast.spectrogram_folder(tmp_path, html_plots=False) == []
    assert {path.name for path in tmp_path.glob("*.png")} == {"x.wav.png", "x.mp3.png"}


def test_wrong_arguments_are_named(tmp_path) -> None:
    with pytest.raises(TypeError, match="unexpected argument 'window_lenght'"):
        heartfast.spectrogram_folder(tmp_path, window_lenght=50)
    with pytest.raises(ValueError, match="ylim: expected"):
        heartfast.spectrogram_folder(tmp_path, ylim=(1, 2, 3))
    with pytest.raises(FileNotFoundError, match="expected WAV or MP3 files, found none"):
        heartfast.spectrogram_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        heartfast.spectrogram_folder(tmp_path / "nowhere")
