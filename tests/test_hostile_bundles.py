"""A boosted model's text, changed and sealed again, fails by name or gives probabilities."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

FUZZ = Path(__file__).parent.parent / "fuzz"


def test_a_changed_text_never_crashes():
    """In a process of its own, whose end by a signal would be seen."""
    script = """
        import random, sys, tempfile
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        import bundle
        text, folder = bundle.make_text().encode(), Path(tempfile.mkdtemp())
        assert bundle.check(bundle.sealed(text), folder)
        for path in (Path(sys.argv[1]) / "corpus/bundle").iterdir():
            bundle.check(bundle.sealed(bundle.changed(text, path.read_bytes())), folder)
        rng = random.Random(0)
        pieces = [b"0", b"9", b"-1", b"-7", b"nan", b"1e999", b" ", b"\\n", b"=", b"5 5", b""]
        loaded = 0
        for _ in range(400):
            changes = b""
            for _ in range(rng.choice([1, 1, 1, 3])):
                new = rng.choice(pieces)
                at = rng.randrange(len(text))
                changes += at.to_bytes(3, "little") + bytes([len(new)]) + new
            loaded += bundle.check(bundle.sealed(bundle.changed(text, changes)), folder)
        print(loaded)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(FUZZ)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert 0 < int(ran.stdout) < 400
