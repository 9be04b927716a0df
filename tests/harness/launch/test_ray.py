"""`--launch ray` on a real cluster of three nodes on this machine, one of which is lost in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_scale_docs import NARROW, readme_line
from toys import Toys, scores

from iarbench.errors import UserError
from iarbench.harness.launch.ray_actors import RayActors

pytest.importorskip("ray", reason="Ray is not installed (extra iarbench[ray])")

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    try:
        made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    except Exception as error:  # whatever it misses here
        pytest.skip(f"no Ray cluster here: {error}")
    yield made
    made.shutdown()


@pytest.mark.long
def test_a_node_lost_in_the_middle_costs_only_the_parts_it_held(cluster: Any, toys: Toys, tmp_path: Path) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    command = ("run", "--task", toys.task, "--device", "cpu", "--attack", "none,jpeg50,jpeg70,jpeg90")
    done = toys.iarbench(*command, "--out", alone)
    assert done.returncode == 0, done.stderr
    nodes = [cluster.add_node(**NODE) for _ in range(2)]
    options = ("--launch", "ray", "--address", cluster.address, "--jobs", "3")
    with toys.popen(*command, "--out", out, *options) as process:
        while len(list(out.rglob("work/*/workers/*.jsonl"))) < 3:  # an actor on every node
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        while process.poll() is None and len(list(out.rglob("scores/**/*.parquet"))) < 4:
            time.sleep(0.05)
        assert process.poll() is None, "it was over before the node was lost"
        cluster.remove_node(nodes[0], allow_graceful=False)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    pd.testing.assert_series_equal(scores(out), scores(alone), rtol=0, atol=0)


@pytest.mark.long
def test_images_are_imported_by_actors(cluster: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "iarbench", "images", "import", "iarbench-mini", "--size", "32", "--shard", "10"]
    for out, launched in (("alone", []), ("set", ["--launch", "ray", "--address", cluster.address, "--jobs", "1"])):
        words = [*command, "--limit", "60", *launched, "--out", str(tmp_path / out)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    made, alone = ({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in ("set", "alone"))
    assert made == alone


@pytest.mark.long
def test_no_cluster_is_one_line() -> None:
    program = (
        "from iarbench.harness.launch.ray_actors import RayActors\n"
        "from iarbench.errors import UserError\n"
        "try:\n    RayActors(1, 'auto', 'cpu')\nexcept UserError as error:\n    print(error)"
    )
    environment = {**os.environ, "RAY_ADDRESS": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.startswith("--launch ray: no cluster at 'auto'")
    assert len(done.stdout.splitlines()) == 1


def test_without_ray_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'iarbench\[ray\]'"):
        RayActors(1, "auto", "cpu")


@pytest.mark.long
def test_the_line_of_the_readme_runs(cluster: Any, tmp_path: Path) -> None:
    words = readme_line("ray")
    for option, value in (("--out", str(tmp_path / "run")), ("--address", cluster.address), ("--jobs", "1")):
        words[words.index(option) + 1] = value
    command = [sys.executable, "-m", "iarbench", *words, *NARROW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
