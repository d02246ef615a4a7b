"""Write THIRD-PARTY.md: what is compiled into the wheel, with its notices.

    python tools/third_party.py

Run it when Cargo.lock changes; a test compares the list with Cargo.lock.
"""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = [
    "The colour maps viridis, magma, inferno, plasma and cividis are matplotlib's (CC0), turbo is",
    "Anton Mikhailov's (copyright 2019 Google LLC, Apache-2.0). The font is Roboto (copyright",
    "2015 Google Inc., Apache-2.0), changed: fewer letters, see",
    "`rust/heartfast-core/assets/README.md`.",
]


def linked() -> dict[str, dict]:
    """The packages that are linked into heartfast-py, by name and version."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    command += ["--filter-platform", "x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.check_output(command, cwd=ROOT))
    packages = {p["id"]: p for p in metadata["packages"]}
    nodes = {n["id"]: n for n in metadata["resolve"]["nodes"]}
    waiting = [i for i, p in packages.items() if p["name"] == "heartfast-py"]
    found: dict[str, dict] = {}
    while waiting:
        package = packages[waiting.pop()]
        key = f"{package['name']} {package['version']}"
        is_macro = any("proc-macro" in target["kind"] for target in package["targets"])
        if key in found or is_macro:
            continue
        found[key] = package
        for dependency in nodes[package["id"]]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return {k: p for k, p in sorted(found.items()) if not p["name"].startswith("heartfast")}


def notices(package: dict) -> list[str]:
    """Copyright lines of a package's licence files."""
    folder = Path(package["manifest_path"]).parent
    lines = []
    for file in sorted(folder.glob("LICENSE*")) + sorted(folder.glob("COPY*")):
        for line in file.read_text(errors="replace").splitlines():
            line = line.strip()
            if re.match(
                r"copyright \(c\)|copyright \d|\(c\) (?!you must)|copyright ©", line, re.IGNORECASE
            ):
                lines.append(line)
    return sorted(set(lines))


def main() -> None:
    """Write the file."""
    packages = linked()
    out = [
        "# Third-party software in heartfast's wheel",
        "",
        "Written by `tools/third_party.py`. The compiled core contains these Rust crates, whose",
        "unchanged sources are published under these names and versions. Where a crate offers",
        "a choice, it is used under MIT.",
        "",
        "| crate | licence |",
        "|---|---|",
    ]
    out += [f"| {key} | {p['license']} |" for key, p in packages.items()]
    out += ["", *ASSETS, ""]
    out += ["## Copyright notices", ""]
    for key, package in packages.items():
        out += [f"- {key}: {line}" for line in notices(package)]
    folder = {p["name"]: Path(p["manifest_path"]).parent for p in packages.values()}
    texts = {
        "MIT": ROOT / "LICENSE-MIT",
        "BSD-2-Clause (numpy)": folder["numpy"] / "LICENSE",
        "MPL-2.0 (symphonia)": folder["symphonia"] / "LICENSE",
    }
    for name, path in texts.items():
        text = path.read_text().strip()
        if name == "MIT":
            text = text[text.index("Permission is") :]
        out += ["", f"## {name}", "", "```", text, "```"]
    (ROOT / "THIRD-PARTY.md").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
