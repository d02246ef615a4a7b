"""ONNX networks as bytes, written field by field: an encoder of their own for the tests."""

from __future__ import annotations

import numpy as np

FLOAT, UINT8, INT64 = 1, 2, 7


def number(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(place: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return number(place << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(place << 3 | 2) + number(len(data)) + data


def tensor(name: str, values: np.ndarray, external: str | None = None) -> bytes:
    kind = {np.dtype("f4"): FLOAT, np.dtype("u1"): UINT8, np.dtype("i8"): INT64}[values.dtype]
    data = b"".join(field(1, side) for side in values.shape) + field(2, kind) + field(8, name)
    if external is None:
        return data + field(9, values.tobytes())
    entries = {"location": external, "offset": "0", "length": str(values.nbytes)}
    for key, value in entries.items():
        data += field(13, field(1, key) + field(2, value))
    return data + field(14, 1)


def attribute(name: str, value: int | list[int] | bytes) -> bytes:
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    if isinstance(value, bytes):  # a graph
        return field(1, name) + field(6, value) + field(20, 5)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, 7)


def node(op: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes) -> bytes:
    data = b"".join(field(1, name) for name in inputs)
    data += b"".join(field(2, name) for name in outputs) + field(4, op)
    data += b"".join(field(5, attribute(name, value)) for name, value in attributes.items())
    return data + (field(7, domain) if domain else b"")


def port(name: str, kind: int, shape: list[int | str] | None) -> bytes:
    inner = field(1, kind)
    if shape is not None:
        sides = [field(2, s) if isinstance(s, str) else field(1, s) for s in shape]
        inner += field(2, b"".join(field(1, side) for side in sides))
    return field(1, name) + field(2, field(1, inner))


def graph(nodes, tensors, inputs, outputs) -> bytes:
    parts = [field(1, each) for each in nodes]
    parts += [field(2, "g")]
    parts += [field(5, each) for each in tensors]
    parts += [field(11, each) for each in inputs]
    parts += [field(12, each) for each in outputs]
    return b"".join(parts)


def model(content: bytes, domain: str = "") -> bytes:
    opsets = [field(8, field(1, "") + field(2, 17))]
    if domain:
        opsets.append(field(8, field(1, domain) + field(2, 1)))
    return field(1, 8) + b"".join(opsets) + field(7, content)
