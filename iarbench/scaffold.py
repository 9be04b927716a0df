"""Files that `iarbench new` writes."""

from __future__ import annotations

import re
from pathlib import Path

from iarbench.errors import UserError
from iarbench.files import write_text
from iarbench.registry import DETECTORS

NAME = re.compile(r"[a-z][a-z0-9_]*")

DETECTOR = '''"""{title}: what your detector looks at, in a sentence."""

from iarbench.detector import Detector


class {title}(Detector):
    """How far the image moves when it goes through the target's autoencoder. Put your method in `score`."""

    name = "{name}"
    version = 1  # raise it whenever a score could change
    requires = frozenset({{"decode"}})  # it uses the target's decoder; leave it out if yours does not

    def __init__(self, power: float = 2.0):
        self.power = power  # a parameter: --detector ./{name}.py:{title}:power=1

    def score(self, evidence):
        """One number an image, higher = more likely made by the target.

        evidence.images: (B, 3, H, W) in [0, 1]; evidence.f: the encoder's features; evidence.quantized: its tokens;
        evidence.x_hat: the image decoded from f. docs/extending.md says what else there is.
        """
        error = (evidence.x_hat - evidence.images).abs() ** self.power
        return {{"{name}": -error.flatten(1).mean(1)}}
'''

TEST = '''"""Does {name} do what every detector must? iarbench tries it on images of a packaged model."""

from pathlib import Path

from iarbench.cli import main

FILE = Path(__file__).with_name("{name}.py")


def test_it_keeps_the_rules():
    assert main(["check", "detector", str(FILE)]) == 0


def test_it_scores(tmp_path):
    run = ["run", "--detector", str(FILE), "--target", "llamagen-mini", "--attack", "none", "--encoder", "original"]
    assert main([*run, "--limit", "4", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert (tmp_path / "run" / "results.jsonl").stat().st_size > 0
'''


def new_detector(name: str, folder: Path) -> tuple[Path, Path]:
    """Write `<name>.py` and `test_<name>.py`.

    Raises:
        UserError: not a name for a file and a detector, one that is taken, or a file that is there.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a detector: small letters, digits and _, beginning with a letter")
    if name in DETECTORS.names():
        raise UserError(f"there is a detector called {name!r}; choose another name")
    files = folder / f"{name}.py", folder / f"test_{name}.py"
    if there := [path for path in files if path.exists()]:
        raise UserError(f"{there[0]} is there already; choose another name or --out")
    title = "".join(part.capitalize() for part in name.split("_"))
    for path, text in zip(files, (DETECTOR, TEST), strict=True):
        write_text(path, text.format(name=name, title=title))
    return files
