"""Several pieces of work side by side on a CPU, each on one core.

Reading, decoding and attacking an image, and many layers of a small model, use one core only: pieces side by side keep
the others busy meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial

import torch


def side_by_side(work: Sequence[Callable[[], None]]) -> None:
    """Do every piece of ``work``, as many at once as torch may use threads; the first error is raised.

    After an error or an interrupt no further piece is begun.
    """
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1)) as pool:
        futures = [pool.submit(piece) for piece in work]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)
