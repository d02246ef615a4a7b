"""Check the wheel in a folder: tag, size, content, and that it runs where nothing else is.

python tools/check_wheel.py dist
"""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

MOST_BYTES = 10_000_000


def main(folder: str) -> None:
    """Raise `SystemExit` with what is wrong."""
    wheels = sorted(Path(folder).glob("*.whl"))
    if len(wheels) != 1:
        raise SystemExit(f"{folder}: expected one wheel, found {len(wheels)}")
    wheel = wheels[0]
    if "cp310-abi3" not in wheel.name:
        raise SystemExit(f"{wheel.name}: expected an abi3 wheel for Python 3.10 and later")
    size = wheel.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{wheel.name}: expected at most {MOST_BYTES} bytes, found {size}")
    names = zipfile.ZipFile(wheel).namelist()
    foreign = [n for n in names if not n.startswith(("heartfast/", "heartfast-"))]
    stray = [n for n in names if n.endswith((".png", ".wav", ".flac", ".part", ".pyc"))]
    if foreign or stray:
        raise SystemExit(f"{wheel.name}: expected the package alone, found {foreign + stray}")
    with tempfile.TemporaryDirectory() as scratch:
        environment = Path(scratch) / "venv"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel]
        subprocess.run(install, check=True)
        # No Rust toolchain, no checkout: only the new environment is on the path.
        clean = {"PATH": f"{environment}/bin:/usr/bin:/bin", "HOME": scratch}
        verb = [environment / "bin" / "heartfast"]
        subprocess.run([*verb, "info"], check=True, env=clean, cwd=scratch)
        subprocess.run([*verb, "demo", "-o", "demo"], check=True, env=clean, cwd=scratch)
        if not (Path(scratch) / "demo/report.html").is_file():
            raise SystemExit(f"{wheel.name}: expected a report of the demo, found none")
    print(f"{wheel}: {size / 1e6:.1f} MB, {len(names)} files, installs and runs")


if __name__ == "__main__":
    main(sys.argv[1])
