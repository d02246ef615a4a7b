"""Packages that heartfast does without, unless an option needs one."""

from __future__ import annotations

from heartfast.errors import HeartfastError

# The extra of heartfast that installs each.
_EXTRAS = {"obstore": "cloud", "pyarrow": "cloud", "ray": "ray", "onnxruntime": "embed"}


def require_package(name: str, purpose: str) -> None:
    """Raise `HeartfastError` unless a package is there, before anything is done with it.

    `purpose` is the option or the thing that needs it, as the message begins.
    """
    import importlib.util

    try:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
        importlib.import_module(name)
    except ImportError as error:
        # It may be there and not work, for want of a library of the system's.
        absent = isinstance(error, ModuleNotFoundError) and error.name in (name, None)
        found = "none" if absent else f"one that does not load ({' '.join(str(error).split())})"
        raise HeartfastError(
            f"{purpose}: expected the package {name}, found {found}; "
            f"pip install 'heartfast[{_EXTRAS[name]}]'"
        ) from None


def require_engine(to: str, features: bool, far: bool, engine: str, address: str | None) -> None:
    """Raise unless what these options of a conversion need is there, `far` for URLs."""
    for needed, name, purpose in (
        (to == "parquet", "pyarrow", "to parquet"),
        (features, "pyarrow", "features"),
        (far, "obstore", "URLs"),
    ):
        if needed:
            require_package(name, purpose)
    if engine != "local" or address is not None:
        from heartfast.cluster.engine import check_engine

        check_engine(engine, address)
