"""What needs a package that is not installed says so in one line, before anything is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import heartfast

# A process in which a package cannot be found, or does not load.
HIDDEN = """
import importlib.abc, sys
name, way, *arguments = sys.argv[1:]
class Hiding(importlib.abc.MetaPathFinder):
    def find_spec(self, found, path=None, target=None):
        if found == name or found.startswith(name + "."):
            if way == "broken":
                raise ImportError(f"lib{name}.so: cannot open shared object file", name=found)
            raise ModuleNotFoundError(f"No module named {found!r}", name=found)
if way == "none":
    sys.modules[name] = None
else:
    sys.meta_path.insert(0, Hiding())
from heartfast.cli import main
sys.exit(main(arguments))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("extras")
    heartfast.synth.write_corpus(root / "wav", patients=8, recordings=1)
    heartfast.convert(root / "wav", root / "png", labels="folders")
    heartfast.convert(root / "wav", root / "feat", labels="folders", features=True)
    (root / "net.onnx").write_bytes(b"something")
    return root


@pytest.mark.parametrize("way", ["none", "hidden", "broken"])
@pytest.mark.parametrize(
    ("package", "extra", "command"),
    [
        ("pyarrow", "cloud", "convert wav -o OUT --to parquet"),
        ("pyarrow", "cloud", "convert wav -o OUT --features"),
        ("pyarrow", "cloud", "convert wav -o OUT --to parquet --shard 1/2"),
        ("pyarrow", "cloud", "train feat -o OUT"),
        ("obstore", "cloud", "convert s3://bucket/wav -o OUT"),
        ("obstore", "cloud", "convert https://127.0.0.1:9/x.wav -o OUT"),
        ("obstore", "cloud", "convert wav -o s3://bucket/OUT"),
        ("obstore", "cloud", "convert wav -o OUT --labels s3://bucket/labels.csv"),
        ("obstore", "cloud", "merge s3://bucket/OUT"),
        ("ray", "ray", "convert wav -o OUT --engine ray"),
        ("ray", "ray", "train png -o OUT --engine ray"),
        ("onnxruntime", "embed", "train png -o OUT --embed net.onnx"),
        ("onnxruntime", "embed", "run wav --labels folders -o OUT --embed net.onnx"),
    ],
)
def test_a_missing_package_is_one_line(place, package, extra, command, way):
    if way != "none" and "--shard" in command:
        return
    arguments = [sys.executable, "-c", HIDDEN, package, way, *command.split()]
    ran = subprocess.run(arguments, cwd=place, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1), ran.stderr
    assert f"expected the package {package}, found " in ran.stderr
    assert ran.stderr.endswith(f"; pip install 'heartfast[{extra}]'\n")
    assert ("does not load" in ran.stderr) == (way == "broken")
    assert not (place / "OUT").exists()
