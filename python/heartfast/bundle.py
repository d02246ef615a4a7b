"""The saved model: a ZIP of JSON and text that nothing needs to be executed to read.

`bundle.json` says what the model is, with a checksum of the other member, `model.json` (the
arrays of a linear model) or `model.txt` (LightGBM's text), and one of its own other fields.
Loading believes nothing that it has not checked. The same bundle always has the same bytes.
"""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from heartfast.errors import BundleError
from heartfast.features import FEATURES_VERSION, feature_names
from heartfast.files import require_file, write_bytes, zip_member
from heartfast.images import one_line, spectrogram_config
from heartfast.models import BoostedModel, LinearModel

if TYPE_CHECKING:
    from zipfile import ZipFile

    from heartfast import SpectrogramConfig
    from heartfast.models import Model

FORMAT = "heartfast-bundle"
FORMAT_VERSION = 1
MANIFEST = "bundle.json"
MEMBERS = {LinearModel.kind: "model.json", BoostedModel.kind: "model.txt"}
OWN_DIGEST = "bundle_sha256"
# JSON's many small objects take twenty times their text in memory.
MAX_JSON_BYTES = 16 << 20
MAX_TEXT_BYTES = 64 << 20
MAX_FILE_BYTES = MAX_JSON_BYTES + MAX_TEXT_BYTES + (1 << 20)
MAX_ENTRIES = 100  # of a ZIP: many more than two, and far less than fill the memory


class Bundle(NamedTuple):
    """A fitted model and everything that scoring with it, or judging it, needs.

    Parameters
    ----------
    model
        Linear or boosted, on the features of `heartfast.features`.
    name
        The candidate's name on the leaderboard.
    classes
        Class names in the order of the probabilities.
    config
        The configuration of the pictures it was trained on, None for foreign ones.
    leaderboard
        One dictionary a candidate, without times.
    training
        Counts and settings of the training: recordings, groups, seed and so on.
    """

    model: Model
    name: str
    classes: tuple[str, ...]
    config: dict[str, object] | None
    leaderboard: list[dict[str, object]]
    training: dict[str, object]

    def spectrogram_config(self) -> SpectrogramConfig | None:
        """Return the configuration that new recordings are to be converted with.

        Raises
        ------
        ValueError
            `config` is not one.
        """
        return None if self.config is None else spectrogram_config(self.config)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the bundle.

        Raises
        ------
        BundleError
            It is too large to be loaded again.
        OSError
            It cannot be written.
        """
        import zipfile

        from heartfast import __version__

        model = self.model
        text = model.text if isinstance(model, BoostedModel) else _dump(model.to_json())
        member, content = MEMBERS[model.kind], text.encode()
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "heartfast": __version__,
            "classes": self.classes,
            "config": self.config,
            "features": {"version": FEATURES_VERSION, "names": feature_names()},
            "model": {"kind": model.kind, "name": self.name},
            "leaderboard": self.leaderboard,
            "training": self.training,
            "sha256": {member: _digest(content)},
        }
        manifest[OWN_DIGEST] = _manifest_digest(manifest)
        parts = {MANIFEST: _dump(manifest, indent=1).encode(), member: content}
        for part, data in parts.items():
            if len(data) > (limit := _limit(part)):
                raise BundleError(
                    f"{os.fspath(path)}: expected {part} to be at most {limit >> 20} MB, found "
                    f"{len(data) >> 20} MB"
                )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, data in parts.items():
                archive.writestr(zip_member(part), data, zipfile.ZIP_DEFLATED)
        write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Bundle:
        """Read and check a bundle.

        Raises
        ------
        BundleError
            The file is foreign, truncated, altered, too large or of another version; one line
            that names it, what was expected and what was found.
        OSError
            It cannot be opened, or is no file.
        """
        require_file(path, "a model that train saved")
        try:
            return cls._read(path)
        except ValueError as error:
            raise BundleError(f"{os.fspath(path)}: {one_line(error)}") from None
        except RecursionError:
            expected = "expected JSON, found it nested too deeply"
            raise BundleError(f"{os.fspath(path)}: {expected}") from None

    @classmethod
    def _read(cls, path: str | os.PathLike[str]) -> Bundle:
        contents = _members(path)
        manifest = _parse(contents.pop(MANIFEST), MANIFEST)
        found = manifest.get("format")
        if found != FORMAT:
            raise ValueError(f"expected format {FORMAT!r}, found {found!r}")
        if manifest.get("format_version") != FORMAT_VERSION:
            found = manifest.get("format_version")
            raise ValueError(f"expected format version {FORMAT_VERSION}, found {found!r}")
        described = _typed(manifest, "model", dict)
        kind, name = _typed(described, "kind", str), _typed(described, "name", str)
        member = MEMBERS.get(kind)
        if list(contents) != [member]:
            _wrong(f"the members of a {kind} model", ", ".join(contents) or "none")
        (content,) = contents.values()
        digest = _digest(content)
        if _typed(manifest, "sha256", dict) != {member: digest}:
            raise ValueError(f"expected {member} with the recorded checksum, found {digest}")
        digest = _manifest_digest(manifest)
        if manifest.get(OWN_DIGEST) != digest:
            raise ValueError(f"expected {MANIFEST} with the recorded checksum, found {digest}")
        features = _typed(manifest, "features", dict)
        if features != {"version": FEATURES_VERSION, "names": feature_names()}:
            _wrong(f"features of version {FEATURES_VERSION}", features.get("version"))

        classes = _typed(manifest, "classes", list)
        if not all(isinstance(label, str) and label for label in classes):
            raise ValueError("expected classes to be names")
        if len(set(classes)) != len(classes) or len(classes) < 2:
            _wrong("two or more different classes", ", ".join(classes))
        model: Model
        if kind == BoostedModel.kind:
            model = BoostedModel(_text(content, str(member)))
        else:
            model = LinearModel.from_json(_parse(content, str(member)))
        expected = (len(classes), len(feature_names()))
        if model.shape != expected:
            _wrong(f"a model of {expected[0]} classes and {expected[1]} features", model.shape)
        config = manifest.get("config")
        leaderboard = _typed(manifest, "leaderboard", list)
        if not all(isinstance(row, dict) for row in leaderboard):
            raise ValueError("expected leaderboard to be a list of objects")
        bundle = cls(
            model=model,
            name=name,
            classes=tuple(classes),
            config=None if config is None else _typed(manifest, "config", dict),
            leaderboard=leaderboard,
            training=_typed(manifest, "training", dict),
        )
        bundle.spectrogram_config()
        return bundle


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def _manifest_digest(manifest: dict[str, object]) -> str:
    """Digest of all fields but the digest's, however they are laid out in the file."""
    rest = {name: value for name, value in manifest.items() if name != OWN_DIGEST}
    return _digest(_dump(rest).encode("utf-8", "surrogatepass"))


def _members(path: str | os.PathLike[str]) -> dict[str, bytes]:
    import zipfile

    with open(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"expected at most {MAX_FILE_BYTES >> 20} MB, found more")
    if data.count(b"PK\1\2") > MAX_ENTRIES:  # each entry of a ZIP's directory begins so
        raise ValueError(f"expected {MANIFEST} and one model, found many members")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _checked(archive)
    except ValueError:
        raise
    except Exception as error:  # zipfile and zlib each raise their own on damage
        raise ValueError(f"expected an intact heartfast model, found: {error}") from None


def _checked(archive: ZipFile) -> dict[str, bytes]:
    from zipfile import ZIP_DEFLATED, ZIP_STORED

    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(infos) != 2 or MANIFEST not in names or names[0] == names[1]:
        found = f"{len(infos)} members, {', '.join(names[:3])}" if names else "an empty ZIP"
        raise ValueError(f"expected {MANIFEST} and one model, found {found}")
    for info in infos:
        if info.file_size > (limit := _limit(info.filename)):
            _wrong(f"{info.filename} to be at most {limit >> 20} MB", f"{info.file_size >> 20} MB")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # others may take any memory
            _wrong(f"{info.filename} to be deflated", f"compression {info.compress_type}")
    # ZipExtFile gives no more than the size checked above, and checks the CRC at the end.
    return {info.filename: archive.read(info) for info in infos}


def _limit(member: str) -> int:
    return MAX_JSON_BYTES if member.endswith(".json") else MAX_TEXT_BYTES


def _dump(value: object, indent: int | None = None) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent, sort_keys=True)


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"expected {name} to be UTF-8 text") from None


def _parse(content: bytes, name: str) -> dict[str, object]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a number")

    try:
        value = json.loads(_text(content, name), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected {name} to be JSON, found: {error}") from None
    if not isinstance(value, dict):
        _wrong(f"{name} to be an object", type(value).__name__)
    return value


def _typed(fields: dict[str, object], name: str, kind: type) -> Any:
    value = fields.get(name)
    if not isinstance(value, kind):
        _wrong(f"{name} to be a {kind.__name__}", type(value).__name__)
    return value


def _wrong(expected: str, found: object) -> NoReturn:
    raise ValueError(f"expected {expected}, found {found}")
