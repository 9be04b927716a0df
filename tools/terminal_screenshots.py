"""Draws what a command writes to a terminal, as a PNG: for docs/, and for looking at what users see.

    python tools/terminal_screenshots.py docs/terminal-report.png iarbench report runs/mini
    python tools/terminal_screenshots.py --columns 60 narrow.png iarbench report runs/mini

The command gets a real terminal of --columns, so that tables fit it; a line of progress is drawn as it ends. The exit
status is the command's.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import shlex
import struct
import sys
import termios
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.text import Text

FONTS = Path("/usr/share/fonts/truetype/dejavu")
SIZE, EDGE = 15, 12
"""Points of the font, and pixels around the text."""
BACK, FRONT, DIM = (24, 26, 31), (222, 224, 228), (150, 153, 160)
PROMPT = "$ "


def output_of(command: list[str], columns: int) -> tuple[str, int]:
    """What a command writes to a terminal of that width, and its exit status."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(columns)}
        os.execvp(command[0], command)
    written = b""
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:  # Linux says so when the command has left its terminal
            break
        if not some:
            break
        written += some
    return written.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def lines_of(written: str, columns: int) -> list[Text]:
    """The lines as they stand in the end; longer ones continue on the next, as terminals do."""
    lines: list[Text] = []
    for line in written.replace("\r\n", "\n").rstrip("\n").split("\n"):
        text = Text.from_ansi(line.rstrip("\r").rpartition("\r")[2])
        text.rstrip()
        cuts = range(columns, len(text), columns)
        lines += text.divide(cuts) if cuts else [text]
    return lines


def picture(lines: list[Text], columns: int) -> Image.Image:
    """The lines in a monospaced font, light on dark."""
    plain, bold = (ImageFont.truetype(FONTS / name, SIZE) for name in ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"))
    width, height = plain.getlength("M"), round(SIZE * 1.35)
    size = round(width * columns) + 2 * EDGE, height * len(lines) + 2 * EDGE
    image = Image.new("RGB", size, BACK)
    draw = ImageDraw.Draw(image)
    console = Console()
    for row, line in enumerate(lines):
        for column, letter in enumerate(line.plain):
            style = line.get_style_at_offset(console, column)
            place = EDGE + column * width, EDGE + row * height
            draw.text(place, letter, DIM if style.dim else FRONT, font=bold if style.bold else plain)
    return image


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the PNG")
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments")
    args = parser.parse_args()
    written, status = output_of(args.command, args.columns)
    lines = lines_of(f"{PROMPT}{shlex.join(args.command)}\n{written}", args.columns)
    picture(lines, args.columns).quantize(32).save(args.out, optimize=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
