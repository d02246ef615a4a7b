"""Every example in a docstring and in the README runs and gives what it says."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from operator import attrgetter
from pathlib import Path

import pytest
import sklearn

import heartfast

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples are run for what they say, not for the best model: less is tried than by default."""
    for function in (heartfast.train, heartfast.run):
        for name, value in (("folds", 2), ("repeats", 1), ("trials", 1)):
            monkeypatch.setitem(inspect.unwrap(function).__kwdefaults__, name, value)


def docstrings() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = ["heartfast"]
    names += [m.name for m in pkgutil.walk_packages(heartfast.__path__, "heartfast.")]
    found = []
    for name in names:
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        found += finder.find(module, name, globs={"heartfast": heartfast})
    return [test for test in found if test.examples]


@pytest.mark.parametrize("test", docstrings(), ids=lambda test: test.name)
def test_docstring(test: doctest.DocTest) -> None:
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert result.failed == 0, "".join(report)


FUNCTIONS = [
    *(name for name in heartfast.__all__ if name != "__version__"),
    *("synth.heart_sound", "synth.write_corpus", "synth.write_wav"),
]
EXPLAINED_ELSEWHERE = {"Progress", "errors", "synth"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_documented(name: str) -> None:
    thing = attrgetter(name)(heartfast)
    text = thing.__doc__
    if name in EXPLAINED_ELSEWHERE or (isinstance(thing, type) and issubclass(thing, Exception)):
        assert text
    else:
        assert ">>>" in text
        assert "Parameters" in text or "Attributes" in text
        says_its_source = re.search("^ *(References|Notes)$", text, re.MULTILINE)
        assert says_its_source or name.startswith("synth") or name in ("Spectrogram", "demo", "run")


# Pages whose examples run one after the other, as a reader would.
@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/explanations.md", "docs/operating-points.md", "docs/scikit-learn.md"],
)
def test_python_examples_of_pages(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    heartfast.synth.write_corpus("recordings", patients=60, recordings=1)
    names: dict[str, object] = {}
    with sklearn.config_context():  # which pages may set
        for block in blocks:
            exec(compile(block, page, "exec"), names)  # noqa: S102


def test_third_party_notices_name_every_linked_crate() -> None:
    notices = (ROOT / "THIRD-PARTY.md").read_text()
    lock = (ROOT / "Cargo.lock").read_text()
    locked = set(re.findall(r'name = "(.+)"\nversion = "(.+)"', lock))
    listed = set(re.findall(r"^\| (\S+) (\d\S*) \|", notices, re.MULTILINE))
    assert listed
    assert listed <= locked
