"""The saved model: a ZIP of JSON, numbers and text that nothing needs to be executed to read.

`bundle.json` says what the model is and has a checksum of every other member, and one of its own
other fields. `card.md` is the model card. Arrays are members of bare float64, lowest byte first,
whose shapes `bundle.json` has (`model/coef.f64`, `novelty/mean.f64`); LightGBM's text is
`model/trees.txt`; the parts of a model are numbered (`model/0/coef.f64`). Loading believes nothing
that it has not checked. The same bundle always has the same bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast import novelty, operating
from heartfast.bundle_checks import check_classes, check_config, check_fields, read_pictures
from heartfast.context import context_names
from heartfast.embedding import Described
from heartfast.errors import BundleError
from heartfast.features import FEATURES_VERSION, feature_names
from heartfast.files import require_file
from heartfast.images import one_line
from heartfast.members import (
    ARRAY,
    CARD,
    MANIFEST,
    digest,
    dump,
    parse,
    read_members,
    text_of,
    typed,
    write_members,
    wrong,
)
from heartfast.models import MAX_PARTS, restored
from heartfast.provenance import spectrogram_config
from heartfast.selection import Selection
from heartfast.stored import Stored, check_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heartfast import SpectrogramConfig
    from heartfast.models import Model

    Array = NDArray[np.float64]

FORMAT = "heartfast-bundle"
FORMAT_VERSION = 2
OWN_DIGEST = "bundle_sha256"
TREES = "trees.txt"
MAX_DEPTH = 4  # a blend of calibrated models has three levels


class Bundle(NamedTuple):
    """A fitted model and everything that scoring with it, or judging it, needs.

    Parameters
    ----------
    model
        Any of `heartfast.models`, on the features of `heartfast.features`.
    name
        The candidate's name on the leaderboard.
    classes
        Class names in the order of the probabilities.
    config
        The configuration of the pictures it was trained on, None for foreign ones. A figure's font
        is named by its SHA-256.
    leaderboard
        One dictionary a candidate, without times.
    training
        Counts and settings of the training: recordings, groups, seed and so on.
    operating
        What decisions by other thresholds than the highest probability follow from.
    novelty
        What tells whether a picture's own features are like those of the training, None without.
        Values that are float64 arrays (names of letters, digits and underlines) are kept as such.
    card
        The model card, Markdown.
    embedding
        The network whose outputs are among the features, None without.
    selection
        What of recordings the pictures show; None in a bundle of an earlier heartfast, which did
        not keep it.
    marked
        How many of the pictures have labelled intervals drawn on them.
    sample_rates
        How many of the pictures have each sample rate.
    """

    model: Model
    name: str
    classes: tuple[str, ...]
    config: dict[str, object] | None
    leaderboard: list[dict[str, object]]
    training: dict[str, object]
    operating: dict[str, object] = {}  # noqa: RUF012 - a default of a tuple, never changed
    novelty: dict[str, object] | None = None
    card: str = ""
    embedding: Described | None = None
    selection: Selection | None = Selection()
    marked: int = 0
    sample_rates: dict[int, int] = {}  # noqa: RUF012

    @property
    def context(self) -> bool:
        """Whether the mean of the group stands behind a recording's own (`heartfast.context`)."""
        return _has_context(self.training)

    @property
    def feature_names(self) -> list[str]:
        """Names of the model's features, in order."""
        own = _own_names(self.embedding)
        return context_names(own) if self.context else own

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
            It has more than a bundle can hold, and would not be loaded again.
        OSError
            It cannot be written.
        """
        from heartfast import __version__

        members: dict[str, bytes] = {}
        shapes: dict[str, list[int]] = {}
        described = _describe(self.model.stored(), "model/", members, shapes)
        place = self.novelty and _without_arrays(self.novelty, "novelty/", members, shapes)
        members[CARD] = self.card.encode()
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "heartfast": __version__,
            "name": self.name,
            "classes": self.classes,
            "config": self.config,
            "pictures": self._pictures(),
            "features": {"version": FEATURES_VERSION, "names": self.feature_names},
            "embedding": self.embedding and self.embedding._asdict(),
            "model": described,
            "leaderboard": self.leaderboard,
            "training": self.training,
            "operating": self.operating,
            "novelty": place,
            "arrays": shapes,
            "sha256": {name: digest(content) for name, content in members.items()},
        }
        try:
            check_classes(self.classes)
            check_fields(manifest)
            if self.config is not None:
                check_config(self.config)
        except ValueError as error:
            raise BundleError(f"{os.fspath(path)}: {one_line(error)}") from None
        manifest[OWN_DIGEST] = _manifest_digest(manifest)
        write_members(path, {MANIFEST: dump(manifest, indent=1).encode(), **members})

    def _pictures(self) -> dict[str, object] | None:
        if self.selection is None:
            return None
        rates = {str(rate): count for rate, count in self.sample_rates.items()}
        selection = self.selection._asdict()
        return {"selection": selection, "marked": self.marked, "sample_rates": rates}

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
        members = read_members(path)
        manifest = parse(members.pop(MANIFEST), MANIFEST)
        _check_format(manifest)
        _check_digests(manifest, members)
        features = typed(manifest, "features", dict)
        embedding = None
        if manifest.get("embedding") is not None:
            embedding = Described.from_json(typed(manifest, "embedding", dict))
        training = typed(manifest, "training", dict)
        own = _own_names(embedding)
        names = context_names(own) if _has_context(training) else own
        if features != {"version": FEATURES_VERSION, "names": names}:
            wrong(
                f"features of version {FEATURES_VERSION}",
                f"{features.get('version')}: trained by another heartfast, train again",
            )
        classes = typed(manifest, "classes", list)
        check_classes(classes)
        check_fields(manifest)
        leaderboard = typed(manifest, "leaderboard", list)
        config, place = manifest.get("config"), manifest.get("novelty")
        if config is not None:
            check_config(typed(manifest, "config", dict))
        selection, marked, rates = read_pictures(manifest.get("pictures"))
        card = text_of(members.pop(CARD, b""), CARD)
        arrays = _arrays(members, typed(manifest, "arrays", dict))
        model = restored(_stored(typed(manifest, "model", dict), "model/", arrays, members))
        expected = (len(classes), len(names))
        if model.shape != expected:
            wrong(f"a model of {expected[0]} classes and {expected[1]} features", model.shape)
        bundle = cls(
            model=model,
            name=typed(manifest, "name", str),
            classes=tuple(classes),
            config=typed(manifest, "config", dict) if config is not None else None,
            leaderboard=leaderboard,
            training=training,
            operating=typed(manifest, "operating", dict),
            selection=selection,
            marked=marked,
            sample_rates=rates,
            novelty=None
            if place is None
            else typed(manifest, "novelty", dict) | _taken(arrays, "novelty/"),
            card=card,
            embedding=embedding,
        )
        if rest := sorted([*arrays, *members]):
            wrong("no members but those of the model", ", ".join(rest[:3]))
        operating.check_curves(bundle.operating, classes)
        novelty.check(bundle.novelty, len(own))
        return bundle


def _own_names(embedding: Described | None) -> list[str]:
    return feature_names() if embedding is None else embedding.names


def _has_context(training: dict[str, object]) -> bool:
    return training.get("context") is True  # earlier bundles have no such field


def _check_format(manifest: dict[str, object]) -> None:
    if (found := manifest.get("format")) != FORMAT:
        raise ValueError(f"expected format {FORMAT!r}, found {found!r}")
    found = manifest.get("format_version")
    if found == FORMAT_VERSION:
        return
    older = isinstance(found, int) and found < FORMAT_VERSION
    advice = ": trained by an earlier heartfast, train again" if older else ""
    raise ValueError(f"expected format version {FORMAT_VERSION}, found {found!r}{advice}")


def _check_digests(manifest: dict[str, object], members: dict[str, bytes]) -> None:
    recorded = typed(manifest, "sha256", dict)
    if odd := sorted(recorded.keys() ^ members.keys()):
        wrong("the members that have a checksum", f"others: {', '.join(odd[:3])}")
    for name, content in members.items():
        if recorded[name] != (found := digest(content)):
            raise ValueError(f"expected {name} with the recorded checksum, found {found}")
    if manifest.get(OWN_DIGEST) != (found := _manifest_digest(manifest)):
        raise ValueError(f"expected {MANIFEST} with the recorded checksum, found {found}")


def _manifest_digest(manifest: dict[str, object]) -> str:
    """Digest of all fields but the digest's, however they are laid out in the file."""
    rest = {name: value for name, value in manifest.items() if name != OWN_DIGEST}
    return digest(dump(rest).encode("utf-8", "surrogatepass"))


def _describe(
    stored: Stored, at: str, members: dict[str, bytes], shapes: dict[str, list[int]]
) -> dict[str, object]:
    """Put a model's arrays and texts among the members; return its kind and those of its parts."""
    _without_arrays(stored.arrays, at, members, shapes)
    if stored.text is not None:
        members[at + TREES] = stored.text.encode()
    parts = [
        _describe(part, f"{at}{number}/", members, shapes)
        for number, part in enumerate(stored.parts)
    ]
    return {"kind": stored.kind, "parts": parts}


def _without_arrays(
    fields: Any, at: str, members: dict[str, bytes], shapes: dict[str, list[int]]
) -> dict[str, object]:
    """Put the arrays of these fields among the members; return the other fields."""
    import numpy as np

    rest = {}
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            members[at + name + ARRAY] = np.ascontiguousarray(value, dtype="<f8").tobytes()
            shapes[at + name] = list(value.shape)
        else:
            rest[name] = value
    return rest


def _arrays(members: dict[str, bytes], shapes: dict[str, object]) -> dict[str, Array]:
    """Take the arrays from the members: as many numbers as their shapes say, all finite."""
    import math

    import numpy as np

    arrays = {}
    for name, shape in shapes.items():
        content = members.pop(name + ARRAY, None)
        if (
            not isinstance(shape, list)
            or len(shape) > 2
            or not all(type(length) is int and 0 <= length <= 1 << 32 for length in shape)
        ):
            wrong(f"{name:.40} to have a shape of two axes at most", f"{shape!r:.40}")
        if content is None or len(content) != 8 * math.prod(shape):
            found = "none" if content is None else len(content)
            wrong(f"{8 * math.prod(shape)} bytes of {name:.40}", found)
        values = np.frombuffer(content, dtype="<f8").astype(np.float64).reshape(shape)
        check_size(name, values)
        arrays[name] = values
    return arrays


def _stored(
    described: object, at: str, arrays: dict[str, Array], members: dict[str, bytes]
) -> Stored:
    """Take a model's arrays and text from what was read, and those of its parts."""
    if at.count("/") > MAX_DEPTH:
        raise ValueError(f"expected parts of parts no deeper than {MAX_DEPTH}, found them deeper")
    if not isinstance(described, dict):
        wrong("a model to be an object", type(described).__name__)
    kind, parts = typed(described, "kind", str), typed(described, "parts", list)
    if len(parts) > MAX_PARTS:
        wrong(f"at most {MAX_PARTS} parts", len(parts))
    text = members.pop(at + TREES, None)
    return Stored(
        kind,
        _taken(arrays, at),
        None if text is None else text_of(text, at + TREES),
        tuple(
            _stored(part, f"{at}{number}/", arrays, members) for number, part in enumerate(parts)
        ),
    )


def _taken(arrays: dict[str, Array], at: str) -> dict[str, Array]:
    """Take the arrays whose names have nothing but a word behind `at`."""
    names = [name for name in arrays if name.startswith(at) and "/" not in name[len(at) :]]
    return {name[len(at) :]: arrays.pop(name) for name in names}
