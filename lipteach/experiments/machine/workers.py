"""Processes that train cells side by side, and end with the one that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait

from tqdm.auto import tqdm


@contextmanager
def make_workers(count: int) -> Iterator[Executor | None]:
    """Start workers; none for a count of 1, where cells run in this process.

    An interrupt reaches this process alone, which then ends them. If it dies they end as well.
    What they have saved is kept either way, and files are whole.
    """
    if count < 2:
        yield None
        return
    # "spawn" on every system: a forked child would inherit PyTorch's threads in an unknown state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _begin) as executor:
        try:
            with _holding_interrupts():
                for _ in range(count):
                    executor.submit(os.getpid)  # which starts a worker
            yield executor
        except KeyboardInterrupt:
            # What waits is given up first: else it would be cancelled and broken, a Python error.
            executor.shutdown(wait=False, cancel_futures=True)
            workers = multiprocessing.active_children()
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()
            raise


@contextmanager
def _holding_interrupts() -> Iterator[None]:
    """Interrupt after these lines, which would leave a worker half made; new ones ignore Ctrl-C.

    It is sent to every process of a terminal. A process inherits that a signal is ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no other is told of signals
        return
    came: list[int] = []
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, end)
    if came:
        signal.raise_signal(signal.SIGTERM)


def _begin() -> None:
    """Prepare a worker: it ignores Ctrl-C, on Windows too, and ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tqdm.set_lock(threading.RLock())  # its own would be left in the system by one that is ended
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)
