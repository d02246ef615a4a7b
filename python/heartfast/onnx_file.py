"""What an ONNX file asks for, found without running it or anything of others.

ONNX is Protocol Buffers: fields, each a number with a type and its value. Only the messages in
which a tensor or an operator can stand are looked into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Which messages stand in which, by the numbers of fields in onnx.proto.
INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
OP_TYPE, DOMAIN = 4, 7  # of a node
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of a tensor
DOMAINS = (b"", b"ai.onnx")
LOOPS = (b"Loop", b"Scan")
MAX_DEPTH = 50
MAX_FIELDS = 5_000_000  # of all messages looked into: ten times the largest networks'
ORT_FORMAT = b"ORTM"  # from the fifth byte of onnxruntime's own format, which it also reads
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def check_network(data: bytes) -> None:
    """Raise `ValueError` for a network that is damaged, or one that is not to be trusted.

    That is one whose tensors are in other files, with operators that are not ONNX's own, or with
    operators that repeat others for as long as they like.

    References
    ----------
    github.com/onnx/onnx, onnx/onnx.proto; protobuf.dev/programming-guides/encoding.
    """
    if data[4:8] == ORT_FORMAT:
        raise ValueError("onnxruntime's own format")
    count = 0
    waiting = [("model", 0, len(data), 0)]
    while waiting:
        message, start, end, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"graphs in graphs deeper than {MAX_DEPTH}")
        for field, kind, at, to in _fields(data, start, end):
            count += 1
            if count > MAX_FIELDS:
                raise ValueError(f"more than {MAX_FIELDS} fields")
            if message == "tensor" and (
                field == EXTERNAL_DATA or (field == DATA_LOCATION and any(data[at:to]))
            ):
                raise ValueError("weights in another file, which are not read")
            if message == "node" and field == DOMAIN and data[at:to] not in DOMAINS:
                raise ValueError(f"an operator of {_text(data[at:to])}, which is not ONNX's own")
            if message == "node" and field == OP_TYPE and data[at:to] in LOOPS:
                raise ValueError(f"the operator {_text(data[at:to])}, which may run for ever")
            if inner := INSIDE[message].get(field):
                if kind != BYTES:
                    raise ValueError(f"a damaged {inner}")
                waiting.append((inner, at, to, depth + 1))


def _text(value: bytes) -> str:
    return ascii(value[:40].decode("utf-8", "replace"))


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Give number and type of each field, and where its value begins and ends."""
    while at < end:
        key, at = _number(data, at, end)
        if key >= 1 << 32:  # of which others may read the lower half
            raise ValueError("a damaged number")
        kind = key & 7
        if kind == VARINT:
            to = _number(data, at, end)[1]
        elif kind == BYTES:
            length, at = _number(data, at, end)
            to = at + length
        elif kind in (FIXED64, FIXED32):
            to = at + (8 if kind == FIXED64 else 4)
        else:
            raise ValueError(f"a field of type {kind}")
        if to > end:
            raise ValueError("a field that goes beyond its end")
        yield key >> 3, kind, at, to
        at = to


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a number in base 128, lowest digit first; return it and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a damaged number")
