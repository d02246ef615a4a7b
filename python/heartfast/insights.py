"""What the report shows of what a model goes by: families of features, mistakes, and maps."""

from __future__ import annotations

import base64
import io
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from heartfast.charts import Interval, interval_chart
from heartfast.context import in_both, with_context
from heartfast.drawings import gallery_address, layer_png, map_svg
from heartfast.explanation import family_importance, recording_map, top_losses
from heartfast.extraction import extract_all
from heartfast.features import families
from heartfast.fitting import Data
from heartfast.heads import head_of
from heartfast.images import PictureSet
from heartfast.occlusion import can_explain, map_of
from heartfast.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from heartfast.explanation import Loss
    from heartfast.stages.run import Run

MISTAKES = 6  # with their pictures
# Of the families, in words.
MEANINGS = {
    "bands": "how loud each band is, and how that varies",
    "spectrum": "how the sound is shared out among the bands",
    "modulation": "how fast loudness rises and falls",
    "cycle": "the heart's cycle: its length, how regular it is",
    "beats": "single beats: how far apart they are, and how high",
    "sounds": "how loud each band is at the beats and between them",
    "contrast": "each band in systole over that in diastole",
    "periodicity": "how each band goes on within a cycle",
    "coupling": "how each band follows the low ones within a cycle",
    "texture": "edges and their directions in the picture",
}


class Mistake(NamedTuple):
    """One of the worst mistakes of the cross-validation; `plot` is JSON for the page's script.

    `layer` is what the saved model looked at, to lie over the picture, and `looked` says it; both
    are empty where that cannot be told.
    """

    name: str
    address: str
    picture: str
    plot: str
    label: str
    said: str
    own: float
    sure: float
    layer: str
    looked: str


def insights(run: Run) -> dict[str, Any]:
    """Return what the template takes: `families`, a chart or None, `mistakes`, and `maps`."""
    return {
        "families": _families(run),
        "meanings": {family: MEANINGS[family] for family in families()},
        "mistakes": _mistakes(run),
        "maps": _maps(run),
    }


def _families(run: Run) -> Markup | None:
    """Chart what each family adds in the test set; None where that cannot be told.

    The model is the one that is saved, and has seen none of the test's groups: nothing is fitted.
    """
    import numpy as np

    bundle = run.training.bundle
    table = read_table(
        os.path.join(run.out, "test_metadata.csv"), ("file_name", "label", "group"), "that of pack"
    )
    truth = {row["file_name"]: row for row in table.records()}
    groups = {name: row["group"] or name for name, row in truth.items()}
    if not can_explain(bundle) or len(set(groups.values())) < 2:
        return None
    with PictureSet(os.path.join(run.out, "test.zip")) as pictures:
        names = [picture.name for picture in pictures.pictures]
        found = extract_all(pictures, names)
    tested = [names[row] for row in found.rows]
    actual = np.array([bundle.classes.index(truth[name]["label"]) for name in tested])
    numbers = np.unique([groups[name] for name in tested], return_inverse=True)[1]
    features, columns = found.matrix, families()
    if bundle.context:
        width = features.shape[1]
        features = with_context(features, numbers)
        columns = {name: in_both(own, width).tolist() for name, own in columns.items()}
    data = Data(features, actual, numbers, len(bundle.classes))
    rows = np.arange(len(actual))
    importances = family_importance(
        lambda _: bundle.model, data, [(0, (rows, rows))], columns, seed=0
    )
    return interval_chart(
        [Interval(row.family, row.increase, row.low, row.high) for row in importances],
        title="What the model would miss most",
        axis="Rise of the logloss without it, on the test set, 95 % interval",
    )


def _mistakes(run: Run) -> list[Mistake]:
    bundle = run.training.bundle
    explained = can_explain(bundle)
    with PictureSet(os.path.join(run.out, "train.zip")) as pictures:
        group_of = {picture.name: picture.group for picture in pictures.pictures}

        def shown(loss: Loss) -> Mistake:
            data = pictures.read_bytes(loss.name)
            seen = None
            if explained:
                own = group_of[loss.name]
                company = [
                    row
                    for row, name in enumerate(run.training.names)
                    if own and group_of[name] == own and name != loss.name
                ]
                others = run.training.matrix[company]
                seen = map_of(bundle, loss.name, data, loss.said, others)
            return Mistake(
                name=loss.name.rpartition("/")[2],
                address=gallery_address(loss.name),
                picture=_address(data),
                plot=json.dumps(head_of(io.BytesIO(data)).plot),
                label=loss.label,
                said=loss.said,
                own=loss.own,
                sure=loss.sure,
                layer=_address(layer_png(seen)) if seen else "",
                looked=seen.describe() if seen else "",
            )

        return [shown(loss) for loss in top_losses(run.training, MISTAKES)]


def _address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _maps(run: Run) -> list[tuple[str, Markup]]:
    """Maps of the training recordings: by class, and by source where there are several."""
    training = run.training
    points, shares = recording_map(training.matrix)
    kinds: dict[str, Sequence[str]] = {
        "class": [training.classes[index] for index in training.actual]
    }
    if len(set(training.sources)) > 1:
        kinds["source"] = [source or "unknown" for source in training.sources]
    return [(name, map_svg(points, shares, kind, training.names)) for name, kind in kinds.items()]
