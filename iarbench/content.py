"""Finding content by name: packaged tasks and image sets, or the user's own by path."""

from __future__ import annotations

from pathlib import Path

from iarbench.errors import UserError
from iarbench.registry import did_you_mean


def task_names() -> list[str]:
    """Names of the packaged tasks, sorted."""
    return sorted(_tasks())


def task_path(name: str) -> Path:
    """The YAML of a packaged task, or of the user's own (a path that ends in .yaml or .yml).

    Raises:
        UserError: no such task or file.
    """
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise UserError(f"{name}: there is no such file; packaged tasks: {', '.join(task_names())}")
        return Path(name)
    tasks = _tasks()
    if name not in tasks:
        raise UserError(f"{did_you_mean('task', name, tasks)}; or give a path ending in .yaml")
    return tasks[name]


def image_set_names() -> list[str]:
    """Names of the packaged image sets, sorted."""
    return sorted(_image_sets())


def images_path(name: str) -> Path:
    """Where the image set called `name` lies: a packaged one, a path, or "hf:owner/name@revision", which is fetched.

    Raises:
        UserError: nothing under that name, or the Hub refuses.
    """
    packaged = _image_sets()
    if name in packaged:
        return packaged[name]
    if name.startswith("hf:"):
        from iarbench.hub import fetch_parquet, split_name

        return fetch_parquet(*split_name(name))
    if not Path(name).exists():
        raise UserError(f"{did_you_mean('image set', name, packaged)}; or give a path, or hf:owner/name@revision")
    return Path(name)


def calibration_path() -> Path:
    """Where scores of the packaged non-members lie, stored as by a run; `tools/build_calibration.py` makes them."""
    import iarbench.data

    return Path(iarbench.data.__path__[0]) / "calibration"


def lock_path(name: str) -> Path:
    """Where a lock lies: a packaged one by name, or a file.

    Raises:
        UserError: neither.
    """
    import iarbench.data

    locks = {path.stem: path for path in (Path(iarbench.data.__path__[0]) / "locks").glob("*.jsonl")}
    if name in locks:
        return locks[name]
    if not Path(name).is_file():
        raise UserError(f"{did_you_mean('lock', name, locks)}; or give a file that `iarbench images lock` wrote")
    return Path(name)


def _tasks() -> dict[str, Path]:
    import iarbench.tasks

    return {path.stem: path for folder in iarbench.tasks.__path__ for path in Path(folder).glob("*.yaml")}


def _image_sets() -> dict[str, Path]:
    import iarbench.data

    shards = [path for folder in iarbench.data.__path__ for path in Path(folder).glob("*/*.parquet")]
    return {path.parent.name: path.parent for path in shards}
