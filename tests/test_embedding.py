"""A network's outputs are a plain convolution's; a hostile file is refused before it is run."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import heartfast
import onnx_bytes as onnx
from heartfast import cli
from heartfast.bundle import Bundle
from heartfast.embedding import Described, Network, embed, require_network
from heartfast.errors import BundleError, ConfigMismatchError, DatasetError
from heartfast.features import extract, feature_names
from heartfast.images import PictureSet, decode
from heartfast.models import LinearModel
from heartfast.onnx_file import check_network
from heartfast.stages.score import score

RNG = np.random.Generator(np.random.PCG64(0))
KERNELS = RNG.normal(size=(5, 3, 3, 3)).astype(np.float32)
SIDE = 12
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def network(
    kernels=KERNELS, shape=("n", 3, SIDE, SIDE), *, pooled=True, external=None, extra=(), domain=""
):
    nodes = [onnx.node("Conv", ["x", "w"], ["c"])]
    if pooled:
        nodes += [
            onnx.node("GlobalAveragePool", ["c"], ["p"]),
            onnx.node("Flatten", ["p"], ["y"], axis=1),
        ]
    inside = onnx.graph(
        [*nodes, *extra],
        [onnx.tensor("w", kernels, external)],
        [onnx.port("x", onnx.FLOAT, list(shape))],
        [onnx.port("y" if pooled else "c", onnx.FLOAT, None)],
    )
    return onnx.model(inside, domain)


def written(tmp_path, data, name="n.onnx"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.fixture
def needs_onnxruntime():
    pytest.importorskip("onnxruntime")


def convolved(levels, kernels=KERNELS):
    """Return the mean over all places of a convolution, by its definition."""
    gray = levels.astype(np.float64) / 255
    if kernels.shape[1] == 3:
        channels = (gray[None] - MEAN[:, None, None]) / DEVIATION[:, None, None]
    else:
        channels = gray[None]
    height, width = levels.shape
    places = [
        (channels[:, i : i + 3, j : j + 3] * kernels).sum(axis=(1, 2, 3))
        for i in range(height - 2)
        for j in range(width - 2)
    ]
    return np.mean(places, axis=0)


def noise(height=SIDE, width=SIDE, seed=1):
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.usefixtures("needs_onnxruntime")
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_embedding_is_the_convolution(tmp_path, pooled, channels):
    kernels = KERNELS[:, :channels].copy()
    data = network(kernels, ("n", channels, SIDE, SIDE), pooled=pooled)
    found = Network(written(tmp_path, data))
    assert found.outputs == 5
    levels = noise()
    np.testing.assert_allclose(found.describe(levels), convolved(levels, kernels), atol=1e-5)


@pytest.mark.usefixtures("needs_onnxruntime")
def test_a_long_picture_is_the_mean_of_its_segments(tmp_path):
    found = Network(written(tmp_path, network()))
    levels = noise(40, 300)  # 25 ms a column: segments of 120, half over each other
    parts = []
    for start in (0, 60, 120, 180):
        part = Image.fromarray(levels[:, start : start + 120])
        parts.append(convolved(np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BILINEAR))))
    np.testing.assert_allclose(found.describe(levels), np.mean(parts, axis=0), atol=1e-5)
    # However long, the same sound over and over is the same.
    once, often = (np.repeat(noise(40, 1), columns, axis=1) for columns in (120, 2400))
    np.testing.assert_allclose(found.describe(once), found.describe(often), atol=1e-5)


@pytest.mark.usefixtures("needs_onnxruntime")
def test_gray_levels_and_channels_last(tmp_path):
    inside = onnx.graph(
        [
            onnx.node("Cast", ["x"], ["f"], to=onnx.FLOAT),
            onnx.node("ReduceMean", ["f"], ["y"], axes=[1, 2], keepdims=0),
        ],
        [],
        [onnx.port("x", onnx.UINT8, [1, "h", 100, 3])],
        [onnx.port("y", onnx.FLOAT, None)],
    )
    found = Network(written(tmp_path, onnx.model(inside)))
    levels = noise(224, 100)
    np.testing.assert_allclose(found.describe(levels), [levels.mean()] * 3, rtol=1e-5)


def png(levels, columns_s):
    config = {"window_ms": 50.0, "overlap": 50.0}
    fields = {"sample_rate": 1000, "duration_s": 3.0, "n_fft": 50, "fmin": 0.0, "fmax": 500.0}
    info = PngInfo()
    chunk = {"config": config, **fields, "hop_length": round(columns_s * 1000), "version": "0"}
    info.add_itxt("heartfast", json.dumps(chunk))
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.usefixtures("needs_onnxruntime")
def test_pictures_are_embedded_alike_for_any_jobs(tmp_path):
    found = Network(written(tmp_path, network()))
    (tmp_path / "p").mkdir()
    for index in range(9):
        (tmp_path / "p" / f"{index}.png").write_bytes(png(noise(30, 80, index), 0.1))
    reports = []
    with PictureSet(tmp_path / "p") as pictures:
        names = ["3.png", "8.png", "0.png"]
        one = embed(found, pictures, names, jobs=1, progress=reports.append)
        assert (embed(found, pictures, names, jobs=3) == one).all()
    assert reports[-1].done == 3
    for row, index in zip(one, (3, 8, 0), strict=True):
        levels = noise(30, 80, index)
        parts = []
        for start in (0, 12, 25, 38, 50):  # 30 columns of 0.1 s, evenly spread over 80
            part = Image.fromarray(levels[:, start : start + 30])
            part = part.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            parts.append(convolved(np.asarray(part)))
        np.testing.assert_allclose(row, np.mean(parts, axis=0), atol=1e-5)


@pytest.mark.usefixtures("needs_onnxruntime")
def test_outputs_that_are_no_numbers(tmp_path):
    inside = onnx.graph(
        [
            onnx.node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
            onnx.node("Sqrt", ["m"], ["y"]),  # of less than nothing for a dark picture
        ],
        [],
        [onnx.port("x", onnx.FLOAT, [1, 3, 4, 4])],
        [onnx.port("y", onnx.FLOAT, None)],
    )
    found = Network(written(tmp_path, onnx.model(inside)))
    (tmp_path / "dark.png").write_bytes(png(np.zeros((8, 8), np.uint8), 0.1))
    with (
        PictureSet(tmp_path / "dark.png") as pictures,
        pytest.raises(DatasetError, match=r"^dark\.png: expected 3 finite numbers of .*n\.onnx"),
    ):
        embed(found, pictures, ["dark.png"], jobs=1)


LOOP = onnx.node(
    "Loop", ["", "", "x"], ["z"],
    body=onnx.graph(
        [onnx.node("Identity", ["b"], ["d"]), onnx.node("Identity", ["a"], ["e"])], [],
        [onnx.port("i", onnx.INT64, []), onnx.port("b", 9, []), onnx.port("a", onnx.FLOAT, None)],
        [onnx.port("d", 9, []), onnx.port("e", onnx.FLOAT, None)],
    ),
)  # fmt: skip
HIDDEN = onnx.node(
    "If", ["b"], ["z"],
    then_branch=onnx.graph(
        [onnx.node("Identity", ["v"], ["e"])], [onnx.tensor("v", KERNELS, "secret.bin")], [],
        [onnx.port("e", onnx.FLOAT, None)],
    ),
)  # fmt: skip
FILES = {
    "weights in another file": network(external="secret.bin"),
    "weights in another file, ": network(external="../secret.bin"),
    "weights in another": network(extra=[HIDDEN]),
    "an operator of 'evil', which is not ONNX's own": network(
        extra=[onnx.node("Evil", ["x"], ["z"], "evil")], domain="evil"
    ),
    "an operator of 'com.microsoft'": network(
        extra=[onnx.node("Gelu", ["x"], ["z"], "com.microsoft")], domain="com.microsoft"
    ),
    "the operator 'Loop', which may run for ever": network(extra=[LOOP]),
    "onnxruntime's own format": b"\x1c\0\0\0ORTM" + network(),
    "a field that goes beyond its end": network()[:-9],
    "a field of type 7": b"\x0f" + network(),
    # A key of 35 bits, whose lower 32 say the graph.
    "a damaged number": b"\xba\x80\x80\x80\x10" + onnx.number(len(network())) + network(),
    "a damaged graph": onnx.field(7, 5),
}


@pytest.mark.parametrize("message", FILES)
def test_a_file_that_is_not_to_be_trusted_is_refused(message):
    check_network(network())
    with pytest.raises(ValueError, match=message):
        check_network(FILES[message])


def test_graphs_in_graphs_end():
    inside = onnx.graph([], [], [], [])
    for _ in range(30):
        inside = onnx.graph([onnx.node("If", ["b"], ["z"], then_branch=inside)], [], [], [])
    with pytest.raises(ValueError, match="graphs in graphs deeper than 50"):
        check_network(onnx.model(inside))


def test_fields_are_counted(monkeypatch):
    monkeypatch.setattr("heartfast.onnx_file.MAX_FIELDS", 20)
    with pytest.raises(ValueError, match="more than 20 fields"):
        check_network(network())


@given(st.binary(max_size=60), st.integers(0, len(network())))
def test_any_bytes_end_in_a_value_error_or_pass(junk, at):
    for data in (junk, network()[:at] + junk + network()[at:]):
        with contextlib.suppress(ValueError):
            check_network(data)


@pytest.mark.usefixtures("needs_onnxruntime")
def test_other_files_are_read_by_onnxruntime_and_so_must_not_get_there(tmp_path, monkeypatch):
    """If this fails, onnxruntime has changed, and the check of files may be more than is needed."""
    import onnxruntime

    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(KERNELS.tobytes())
    data = network(external="secret.bin")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    batch = np.ones((1, 3, SIDE, SIDE), np.float32)
    assert session.run(None, {"x": batch})[0].shape == (1, 5)
    with pytest.raises(BundleError, match=r"n\.onnx: expected an ONNX network .* another file"):
        Network(written(tmp_path, data))


@pytest.mark.usefixtures("needs_onnxruntime")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found: "),
        (b"no", "expected an ONNX network for pictures, found: a field"),
        (network(shape=("n", 2, SIDE, SIDE)), "found: "),
        (
            network(shape=("n", 3, SIDE, 9999)),
            r"found: inputs tensor\(float\) \['n', 3, 12, 9999\]",
        ),
        (network(KERNELS[:, :, :, 0].copy(), ("n", 3, SIDE)), "found: inputs tensor"),
    ],
)
def test_what_is_no_network_for_pictures(tmp_path, data, message):
    with pytest.raises(BundleError, match=message) as caught:
        Network(written(tmp_path, data))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("needs_onnxruntime")
def test_sizes_are_limited(tmp_path, monkeypatch):
    path = written(tmp_path, network())
    monkeypatch.setattr("heartfast.embedding.MAX_OUTPUTS", 4)
    with pytest.raises(BundleError, match="expected 1 to 4 outputs, found 5"):
        Network(path)
    monkeypatch.setattr("heartfast.embedding.MAX_NETWORK_BYTES", 0)
    with pytest.raises(BundleError, match="expected at most 0 MB, found more"):
        Network(path)
    with pytest.raises(FileNotFoundError, match="expected an ONNX network, found nothing"):
        Network(tmp_path / "none.onnx")


@pytest.mark.usefixtures("needs_onnxruntime")
def test_the_same_file_is_asked_for(tmp_path):
    path = written(tmp_path, network())
    found = Network(path)
    described = Described(found.sha256, 5, only=False)
    assert require_network(described, path).sha256 == found.sha256
    assert require_network(None, None) is None
    other = written(tmp_path, network(KERNELS + 1), "o.onnx")
    with pytest.raises(ConfigMismatchError, match=rf"o\.onnx: .* sha256 {found.sha256}, found"):
        require_network(described, other)
    with pytest.raises(ValueError, match=f"sha256 {found.sha256}.*found none"):
        require_network(described, None)
    with pytest.raises(ValueError, match="trained without, found one"):
        require_network(None, path)


def test_without_onnxruntime_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(heartfast.HeartfastError, match=r"pip install 'heartfast\[embed\]'"):
        Network(written(tmp_path, network()))


def test_names_and_what_a_bundle_has():
    both = Described("ab", 2, only=False)
    assert both.names == [*feature_names(), "embedding0000", "embedding0001"]
    assert both._replace(only=True).names == both.names[-2:]
    assert Described.from_json(json.loads(json.dumps(both._asdict()))) == both
    for change in ({"more": 1}, {"only": 1}, {"outputs": 0}, {"outputs": True}, {"sha256": 3}):
        with pytest.raises(ValueError, match="expected an embedding"):
            Described.from_json(both._asdict() | change)


def linear(width):
    rng = np.random.Generator(np.random.PCG64(5))
    return LinearModel(
        np.zeros(width), np.full(width, 3.0), rng.normal(size=(3, width)), np.zeros(3)
    )


@pytest.mark.usefixtures("needs_onnxruntime")
@pytest.mark.parametrize("only", [False, True])
def test_score_sees_features_and_outputs(tmp_path, only):
    path = written(tmp_path, network())
    described = Described(Network(path).sha256, 5, only=only)
    bundle = Bundle(
        model=linear(len(described.names)),
        name="x",
        classes=("a", "b", "c"),
        config=None,
        leaderboard=[],
        training={},
        embedding=described,
    )
    bundle.save(tmp_path / "m")
    assert Bundle.load(tmp_path / "m").embedding == described
    (tmp_path / "p").mkdir()
    for index in range(3):
        (tmp_path / "p" / f"{index}.png").write_bytes(png(noise(30, 80, index), 0.1))
    (tmp_path / "p" / "1.png").write_bytes(b"no")
    out = str(tmp_path / "s.csv")
    command = ["score", str(tmp_path / "m"), str(tmp_path / "p"), "-o", out, "--embed"]
    assert cli.main([*command, str(path)]) == 3
    result = score(tmp_path / "m", tmp_path / "p", embed=path)
    assert result.names == ["0.png", "2.png"]
    for row, name in zip(result.probabilities, result.names, strict=True):
        levels, provenance = decode((tmp_path / "p" / name).read_bytes(), name)
        seen = [] if only else list(extract(levels, provenance))
        seen += Network(path).describe(levels, provenance).tolist()
        assert (bundle.model.predict_proba(np.array([seen]))[0] == row).all()
    with pytest.raises(ValueError, match="expected the network that the model was trained with"):
        score(tmp_path / "m", tmp_path / "p")
    other = written(tmp_path, network(KERNELS + 1), "o.onnx")
    with pytest.raises(ConfigMismatchError, match="sha256"):
        score(tmp_path / "m", tmp_path / "p", embed=other)


@pytest.mark.usefixtures("needs_onnxruntime")
def test_recordings_are_drawn_for_the_network(tmp_path):
    path = written(tmp_path, network())
    described = Described(Network(path).sha256, 5, only=False)
    config = json.loads(json.dumps(heartfast.SpectrogramConfig().to_dict()))
    model = linear(len(described.names))
    (tmp_path / "wav").mkdir()
    bundle = Bundle(model, "x", ("a", "b", "c"), config, [], {}, embedding=described)
    for index in range(3):
        samples, sr = heartfast.synth.heart_sound("murmur", seed=index, duration_s=4.0)
        heartfast.synth.write_wav(tmp_path / "wav" / f"{index}.wav", samples, sr)
    heartfast.convert(tmp_path / "wav", tmp_path / "png")
    recordings = score(bundle, tmp_path / "wav", embed=path)
    pictures = score(bundle, tmp_path / "png", embed=path)
    np.testing.assert_allclose(recordings.probabilities, pictures.probabilities, atol=1e-9)
    assert recordings.names == ["0.wav", "1.wav", "2.wav"]


@pytest.mark.usefixtures("needs_onnxruntime", "few_candidates")
@pytest.mark.parametrize("only", [False, True])
def test_train_and_score_by_way_of_the_command_line(tmp_path, only):
    path = str(written(tmp_path, network()))
    heartfast.synth.write_corpus(tmp_path / "wav", patients=24, recordings=1, seed=3)
    heartfast.convert(tmp_path / "wav", tmp_path / "png", labels="folders")
    model, out = str(tmp_path / "m"), str(tmp_path / "s.csv")
    quick = ["--folds", "2", "--repeats", "1", "--trials", "1", "--embed", path]
    quick += ["--embed-only"] if only else []
    assert cli.main(["train", str(tmp_path / "png"), "-o", model, *quick]) == 0
    bundle = Bundle.load(model)
    assert bundle.embedding == Described(Network(path).sha256, 5, only=only)
    assert bundle.model.shape == (3, 5 if only else len(feature_names()) + 5)
    source = str(tmp_path / "wav" / "murmur")
    assert cli.main(["score", model, source, "-o", out, "--embed", path]) == 0
    assert cli.main(["score", model, source, "-o", out]) == 2
    again = heartfast.train(
        tmp_path / "png", folds=2, repeats=1, trials=1, embed=path, embed_only=only, jobs=1
    )
    again.bundle.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


def test_no_features_at_all(tmp_path):
    with pytest.raises(ValueError, match=r"embed_only: expected a network \(embed\), found none"):
        heartfast.train(tmp_path, embed_only=True)
    with pytest.raises(ValueError, match="embed_only"):
        heartfast.run(tmp_path, tmp_path / "out", labels="folders", embed_only=True)


@pytest.mark.usefixtures("needs_onnxruntime", "few_candidates")
@pytest.mark.parametrize("only", [False, True])
def test_all_of_it_with_a_network(tmp_path, only):
    path = written(tmp_path, network())
    heartfast.synth.write_corpus(tmp_path / "wav", patients=60, recordings=1, seed=3)
    quick = {"folds": 2, "repeats": 1, "trials": 1, "embed": path, "embed_only": only}
    result = heartfast.run(tmp_path / "wav", tmp_path / "out", labels="folders", **quick)
    assert (tmp_path / "out" / "report.html").is_file()
    assert result.training.bundle.embedding.only == only
