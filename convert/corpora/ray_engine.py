"""`embed --engine ray`: windows go to the workers of a Ray cluster, which load the folder once each and keep what they made.

A window is kept before it is told of, and told of before its file is made: a worker that dies loses the windows that it was
at, which Ray gives to another; when Ray itself is lost, the same command goes on with what is kept.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hub2hf.corpora.job import Job, Process
from hub2hf.corpora.places import first_line
from hub2hf.corpora.work import AGAIN, Chunk
from hub2hf.errors import Hub2HFError, SourceError
from hub2hf.extras import install

LOCAL, RAY = ENGINES = ("local", "ray")
TASK: Final = 8  # windows that a worker is given at a time: a few seconds of work, read in one go


def check_engine(engine: str, address: str | None, workers: int | None) -> None:
    """See that there is such an engine, and that it takes what else was asked for.

    Raises:
        SourceError: which it does not.
    """
    if engine not in ENGINES:
        raise SourceError(f"There is no engine {engine}.", f"Known are: {', '.join(ENGINES)}.")
    if engine != RAY and (address is not None or workers is not None):
        raise SourceError("An address and workers are Ray's.", f"Pass --engine {RAY}, or leave them out.")
    if workers is not None and workers < 1:
        raise SourceError(f"{workers} workers do nothing.", "Ask for one or more.")


class Worker:
    """A process of the cluster; Ray calls it with a batch of one task."""

    def __init__(self, job: Job) -> None:
        self.process = Process(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Embed the windows of a task; return each with why it could not be read, or "".

        An error of ours is handed back as one: Ray would try again what cannot go well.
        """
        chunks = [Chunk(int(file), int(number)) for file, number in batch["chunks"][0]]
        done: dict[str, list[Any]] = {"file": [], "number": [], "why": [], "error": []}
        try:
            for chunk, why in self.process.run(chunks):
                self._add(done, chunk, why, "")
        except Hub2HFError as error:
            self._add(done, chunks[0], "", f"{error.problem}\n{error.next_step}")
        return done

    @staticmethod
    def _add(done: dict[str, list[Any]], chunk: Chunk, why: str, error: str) -> None:
        for name, value in zip(done, (chunk.file, chunk.number, why, error), strict=True):
            done[name].append(value)


def run(job: Job, chunks: Sequence[Chunk], address: str | None, workers: int | None) -> Iterator[tuple[Chunk, str]]:
    """Embed windows on a cluster; yield each, once it is kept, with why it could not be read, or "".

    Args:
        job: what to do; folder, input and target are on disks, or at URLs, that all workers reach by these names.
        chunks: windows.
        address: of the cluster, as Ray takes it; one is started on this machine where there is none.
        workers: how many load the folder, each with one processor; as many as there are processors by default.

    Raises:
        SourceError: Ray is not installed, cannot be reached, or was lost.
        Hub2HFError: what a worker met.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise SourceError("Ray is not installed.", f"Install it: {install('ray')}.") from error
    started = not ray.is_initialized()
    try:
        if started:
            _check_reachable(address)
            local = {} if address else {"include_dashboard": False, "num_cpus": workers}
            ray.init(address=address, logging_level="error", log_to_driver=False, **local)
        ray.data.DataContext.get_current().enable_progress_bars = False
        pool = ray.data.ActorPoolStrategy(size=workers or max(1, int(ray.cluster_resources().get("CPU", 1))))
        tasks = [{"chunks": [[c.file, c.number] for c in chunks[i : i + TASK]]} for i in range(0, len(chunks), TASK)]
        made = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            Worker, batch_size=1, compute=pool, fn_constructor_args=(job,), num_cpus=1
        )
        for row in made.iter_rows():
            yield _told(row)
    except Hub2HFError:
        raise
    except Exception as error:  # whatever Ray raises: of its own, or of a connection
        raise SourceError(f"Ray was lost: {type(error).__name__}: {first_line(error)}.", AGAIN) from error
    finally:
        if started and ray.is_initialized():
            ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """See that something answers at HOST:PORT: Ray itself would wait for minutes.

    Raises:
        OSError: nothing does.
    """
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _told(row: dict[str, Any]) -> tuple[Chunk, str]:
    """Return a window and why it could not be read, or "".

    Raises:
        Hub2HFError: that a worker met.
    """
    if row["error"]:
        raise Hub2HFError(*row["error"].split("\n"))
    return Chunk(int(row["file"]), int(row["number"])), str(row["why"])
