"""Recordings that belong together get the same number, also by way of others."""

from __future__ import annotations

import hashlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from heartfast.groups import group_numbers, picture_groups
from heartfast.images import PictureSet
from heartfast.seeds import MAX_SEED, check_seed

names = st.sampled_from(["", "a", "b", "c", "d", "e"])


@given(st.lists(st.tuples(names, names), max_size=12))
def test_groups_are_connected_components(keys):
    found = group_numbers(keys)
    n = len(keys)
    linked = [
        [any(a and a == b for a, b in zip(one, other, strict=True)) for other in keys]
        for one in keys
    ]
    rows, columns = np.nonzero(np.array(linked, dtype=bool).reshape(n, n))
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), (n, n))
    count, expected = connected_components(graph, directed=False) if n else (0, [])
    assert found == list(expected)
    assert len(set(found)) == count


def test_pictures_without_a_digest_are_known_by_their_bytes(tmp_path):
    def png(value: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.full((2, 2), value, np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    same = hashlib.sha256(png(3)).hexdigest()
    table = f"file_name,label,group,sha256\na/4.png,a,p,\na/5.png,a,p,\na/6.png,a,,{same}\n"
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for index, value in enumerate([1, 2, 1, 3, 4, 5, 6]):
            archive.writestr(f"a/{index}.png", png(value))
        archive.writestr("metadata.csv", table)
    with PictureSet(tmp_path / "x.zip") as files:
        assert picture_groups(files.pictures, files) == [0, 1, 0, 2, 3, 3, 2]
        assert picture_groups(files.pictures, files, jobs=1) == [0, 1, 0, 2, 3, 3, 2]


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 2**63])
def test_a_seed_out_of_range_is_told_the_range(seed):
    with pytest.raises(ValueError, match=rf"^seed: expected 0 to {MAX_SEED}, found {seed}$"):
        check_seed(seed)


def test_every_library_takes_the_seeds_at_the_ends():
    for seed in (0, MAX_SEED):
        check_seed(seed)
        np.random.RandomState(seed + 1000)
        np.int32(seed + 1000)
