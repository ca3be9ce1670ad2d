"""Processes that judge, side by side, each with one submission at a time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import lipteach

_SLACK = 120.0  # seconds above all limits, until a process that judges is taken for dead


class Judge:
    """A process that judges; it is started when needed, and anew if it was ended."""

    def __init__(self, number: int, lessons: Iterable[str]) -> None:
        self.number, self.lessons = number, sorted(lessons)
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._closed = False

    def judge(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Judge a submission; twice, if the process was ended the first time."""
        for _ in range(2):
            result = self._ask({**job, "number": self.number})
            if result is not None:
                return result
            self._stop()
        text = "The process that judges was ended twice: what else it holds was not judged."
        return {"results": {}, "up": [], "lacking": [], "said": [text]}

    def _ask(self, job: Mapping[str, Any]) -> dict[str, Any] | None:
        if self._closed:
            return None
        process = self._start()
        tries = sum(3 * len(one["places"]) for one in job["exercises"])
        timer = threading.Timer(3 * tries * job["seconds"] + _SLACK, process.kill)
        timer.start()
        try:
            if process.stdin is None or process.stdout is None:
                return None
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            result: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            return None
        finally:
            timer.cancel()
        return result

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            root = str(Path(lipteach.__file__).resolve().parents[1])
            paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
            kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
            own = {
                "PYTHONPATH": os.pathsep.join(paths),
                "OMP_NUM_THREADS": "1",
                "MPLBACKEND": "agg",
            }
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.serving", "serve", *self.lessons],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=kept | own,
                start_new_session=True,  # an interrupt by the keyboard is ours
            )
            ready = self._process.stdout.readline() if self._process.stdout else b""
            if not ready and not self._closed:
                self._log.seek(0)
                said = self._log.read().decode(errors="replace").strip().splitlines()
                raise RuntimeError(f"the process that judges did not start: {(said or [''])[-1]}")
        return self._process

    def close(self) -> None:
        """End the process, and start none again."""
        self._closed = True
        self._stop()
        self._log.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "USERPROFILE")


def judge_all(
    jobs: Mapping[str, Mapping[str, Any]],
    lessons: Iterable[str],
    workers: int,
    take: Callable[[str, dict[str, Any]], None],
) -> None:
    """Judge jobs by name, so many side by side, and hand each result on as it comes."""
    judges = [Judge(number, lessons) for number in range(min(workers, len(jobs)))]
    free: queue.SimpleQueue[Judge] = queue.SimpleQueue()
    for judge in judges:
        free.put(judge)

    def one(job: Mapping[str, Any]) -> dict[str, Any]:
        judge = free.get()
        try:
            return judge.judge(job)
        finally:
            free.put(judge)

    pool = ThreadPoolExecutor(max(len(judges), 1))
    running: dict[Future[dict[str, Any]], str] = {}
    try:
        running = {pool.submit(one, job): name for name, job in jobs.items()}
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                take(running.pop(done), done.result())
    finally:
        for future in running:
            future.cancel()
        for judge in judges:
            judge.close()
        pool.shutdown(wait=True, cancel_futures=True)
