"""Features of many pictures, in processes beside this one.

NumPy on arrays as small as a picture's bands holds Python's lock most of the time: two threads
are slower than one. So each thread has a process of its own, to which it sends a picture's
bytes and which sends back the features. A picture that brings its decoder down takes only that
process with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from heartfast.errors import DatasetError, DecodeError
from heartfast.images import Provenance, decode, reason, require_config
from heartfast.parallel import cores, for_each
from heartfast.progress import Progress

if TYPE_CHECKING:
    import queue
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO

    import numpy as np
    from numpy.typing import NDArray

    from heartfast import SpectrogramConfig
    from heartfast.images import PictureSet
    from heartfast.progress import ProgressCallback

    Array = NDArray[np.float64]
    Path = str | os.PathLike[str]
    # Features and provenance, or what is wrong with the picture.
    Description = tuple[Array, Provenance | None] | str
    Describe = Callable[[bytes], Description]

WORTH_A_PROCESS = 64  # pictures: starting one takes as long as describing about so many
_SERVE = "from heartfast.extraction import serve; serve()"


class Extracted(NamedTuple):
    """The features (n, f) of the pictures that were readable, and what was learned of all.

    `rows` are their indices among the names asked for, `errors` the other names, each with
    its message (without the name); `config` is the configuration they share, `foreign` counts
    those without.
    """

    matrix: Array
    rows: NDArray[np.intp]
    errors: list[tuple[str, str]]
    config: dict[str, object] | None
    foreign: int


def extract_all(
    pictures: PictureSet,
    names: Sequence[str],
    *,
    config: dict[str, object] | None = None,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> Extracted:
    """Describe the named pictures of a set, in this order; unreadable ones go to `errors`.

    Parameters
    ----------
    config
        The configuration that pictures with provenance must have been made with; by default
        that of the first.
    jobs
        Processes; all cores by default, and none beside this one for few pictures. The result
        does not depend on it.

    Raises
    ------
    ConfigMismatchError
        A picture was made with another configuration.
    DatasetError
        There are no names, or no picture is readable.
    """
    import numpy as np

    if not names:
        raise DatasetError(f"{pictures.source}: expected PNG or JPEG pictures, found none")
    expected = None if config is None else ("the model", config)
    features: list[Array] = []
    rows: list[int] = []
    errors: list[tuple[str, str]] = []
    foreign = 0

    def one(name: str) -> Description:
        found = pictures.read_or_reason(name)
        return found if isinstance(found, str) else describe_bytes(found)

    def take(result: Description) -> None:
        nonlocal expected, foreign
        index = len(rows) + len(errors)
        if isinstance(result, str):
            errors.append((names[index], result))
        else:
            described, provenance = result
            if provenance is None:
                foreign += 1
            else:
                expected = expected or (names[index], provenance.config)
                require_config(names[index], provenance.config, *expected)
            rows.append(index)
            features.append(described)
        if progress:
            progress(Progress("features", len(rows) + len(errors), len(names), len(errors)))

    processes = max(1, min(cores(jobs), len(names) // WORTH_A_PROCESS))
    with _processes() if processes > 1 else contextlib.nullcontext(describe) as describe_bytes:
        for_each(one, names, take, jobs=processes)
    if not rows:
        raise DatasetError(
            f"{pictures.source or names[0]}: expected readable pictures, found {len(names)} that "
            f"are not, the first: {': '.join(errors[0])}"
        )
    shared = expected[1] if expected else None
    return Extracted(np.stack(features), np.array(rows), errors, shared, foreign)


def extract_recordings(
    sources: Sequence[Path],
    config: SpectrogramConfig,
    *,
    jobs: int | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[list[str], Extracted]:
    """Describe the pictures of recordings without writing them.

    The features are those of the pictures that `convert` makes with this configuration, of each
    recording as a whole. The core reads, draws and describes on threads.

    Parameters
    ----------
    sources
        Recordings, and folders and archives to search for them.
    jobs
        Threads; all cores by default. The result does not depend on it.

    Returns
    -------
    names, extracted
        What the recordings are called, sorted (see `recording_name`), and their features; those
        that fail are in its `errors`.

    Raises
    ------
    DatasetError
        There are no recordings, or none is readable.
    OSError
        A source is not there.
    """
    import numpy as np

    from heartfast import _core
    from heartfast.limits import Limits
    from heartfast.recordings import find_recordings

    recordings = find_recordings(sources)
    named = [(recording_name(recording.path, sources), recording) for recording in recordings]
    named.sort(key=itemgetter(0))
    names = [name for name, _ in named]

    def report(done: int, failed: int) -> None:
        if progress:
            progress(Progress("features", done, len(names), failed))

    matrix, failures = _core.describe_recordings(
        [(recording.member or recording.path, recording.path) for _, recording in named],
        config,
        Limits(),
        cores(jobs),
        report,
    )
    errors = [(name, text) for name, text in zip(names, failures, strict=True) if text is not None]
    if len(errors) == len(names):
        raise DatasetError(
            f"{os.fspath(sources[0])}: expected readable recordings, found {len(names)} that are "
            f"not, the first: {': '.join(errors[0])}"
        )
    rows = np.flatnonzero([text is None for text in failures])
    return names, Extracted(matrix[rows], rows, errors, config.to_dict(), 0)


def recording_name(recording: str, sources: Sequence[Path]) -> str:
    """Name a recording: relative to the folder, where one was given, else as it was given."""
    if len(sources) > 1:
        return recording.replace(os.sep, "/")
    root = os.fspath(sources[0])
    folder = root if os.path.isdir(root) else os.path.dirname(root) or "."
    return os.path.relpath(recording, folder).replace(os.sep, "/")


def describe(data: bytes) -> Description:
    """Decode and describe one picture's file."""
    from heartfast.features import extract

    try:
        levels, provenance = decode(data, "picture")
        return extract(levels, provenance), provenance
    except DecodeError as error:
        return reason(error, "picture")
    except MemoryError:
        return "expected a picture that fits into memory, found a larger one"


@contextlib.contextmanager
def _processes() -> Iterator[Describe]:
    """Give what `describe` is, for any number of threads, each with a process; ends them all."""
    import queue

    started: list[_Process] = []
    over = False
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()

    def describe_there(data: bytes) -> Description:
        try:
            process = idle.get_nowait()
        except queue.Empty:
            process = _Process()
            started.append(process)
            if over:  # this thread was not waited for
                process.end()
        description = process.describe(data)
        if process.lives:
            idle.put(process)
        return description

    try:
        yield describe_there
    finally:
        over = True
        for process in started:
            process.end()


class _Process:
    """A process that runs `serve`."""

    def __init__(self) -> None:
        self.lives = True
        self._child = subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # It finds the package where this one did, and has one core.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        )
        assert self._child.stdin and self._child.stdout  # noqa: S101, PT018 - as asked for above
        self._pipes: tuple[IO[bytes], IO[bytes]] = self._child.stdin, self._child.stdout

    def describe(self, data: bytes) -> Description:
        import numpy as np

        requests, replies = self._pipes
        try:
            requests.write(len(data).to_bytes(8, "little") + data)
            requests.flush()
            reply = json.loads(replies.readline())
            if isinstance(reply, str):
                return reply
            size, provenance = reply
            features = np.frombuffer(replies.read(size), np.float64)
            return features.reshape(size // 8), provenance and Provenance(**provenance)
        except (OSError, ValueError):  # the pipes have ended, in a reply or before it
            self.lives = False
            code = self._child.wait()
            return f"expected an intact picture, found one that ended its process (code {code})"

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in self._pipes:
            with contextlib.suppress(OSError):  # what was on its way to the process
                pipe.close()


def serve() -> None:
    """Describe the pictures that come on standard input, until it ends.

    A picture is its length (8 bytes, lowest first) and its bytes. The reply is a line of JSON:
    what is wrong with the picture, or the number of bytes of its features, which follow
    (float64), and its provenance.
    """
    import signal

    # Ctrl-C is the other process's, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve(sys.stdin.buffer, sys.stdout.buffer)


def _serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    while head := requests.read(8):
        result = describe(requests.read(int.from_bytes(head, "little")))
        if isinstance(result, str):
            replies.write(json.dumps(result).encode() + b"\n")
        else:
            features, provenance = result
            told = provenance and provenance._asdict()
            replies.write(json.dumps([features.nbytes, told]).encode() + b"\n" + features.tobytes())
        replies.flush()
