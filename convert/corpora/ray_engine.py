"""`--engine ray`: windows of a corpus go to the workers of a Ray cluster, which load what they need once each.

A worker that dies loses the windows that it was at, which Ray gives to another. `embed` keeps a window before it is told of,
and makes its file after: when Ray itself is lost, the same command goes on with what is kept. On a cluster, start Ray on its
machines (`ray start`), with hub2hf installed on each, and folders and corpora on a disk, or at URLs, that all reach; then

    hub2hf embed /shared/folder s3://bucket/corpus s3://bucket/vectors --engine ray --address auto
    hub2hf verify /shared/module /shared/folder --sentences s3://bucket/corpus --engine ray --address auto
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from hub2hf.corpora.job import Done, Job, Worker
from hub2hf.corpora.places import first_line
from hub2hf.corpora.work import Chunk
from hub2hf.errors import Hub2HFError, SourceError
from hub2hf.extras import install
from hub2hf.names import check_texts, check_whole_numbers, present

LOCAL, RAY = ENGINES = ("local", "ray")
TASK: Final = 8  # windows that a worker is given at a time: a few seconds of work, read in one go
SHARES: Final = 4  # tasks of each worker at least, as far as there are windows


Run = Callable[[Any, Sequence[Chunk]], Iterator[Done]]


def check_engine(engine: str, address: str | None, workers: int | None) -> None:
    """See that there is such an engine, that it is installed, and that it takes what else was asked for.

    Raises:
        SourceError: which it does not.
    """
    check_texts(engine=engine, **present(address=address))
    check_whole_numbers(**present(workers=workers))
    if engine not in ENGINES:
        raise SourceError(f"There is no engine '{engine}'.", f"Choose from: {', '.join(ENGINES)}.")
    if engine != RAY and (address is not None or workers is not None):
        raise SourceError("Only Ray has an address and workers.", f"Leave them out, or pass --engine {RAY}.")
    if workers is not None and workers < 1:
        raise SourceError(f"{workers} workers do nothing.", "Ask for one or more.")
    if engine == RAY:
        require_ray()


def run_on(engine: str, address: str | None, workers: int | None, again: str) -> Run:
    """Return what does windows on an engine, in this process or on a cluster, and yields each.

    Args:
        engine, address, workers: as for `embed`.
        again: what to do when Ray is lost.
    """
    if engine == RAY:
        return partial(run, address=address, workers=workers, again=again)
    return lambda job, chunks: job.load().run(chunks)


class Actor:
    """A process of the cluster; Ray calls it with a batch of one task. What the job needs is loaded with the first."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.worker: Worker | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Do the windows of a task; return each as it was yielded, pickled.

        An error of ours is handed back as one: Ray would try again what cannot go well.
        """
        done: list[Any] = []
        try:
            self.worker = self.worker or self.job.load()
            done += self.worker.run([Chunk(int(file), int(number)) for file, number in batch["chunks"][0]])
        except Hub2HFError as error:
            done.append(error)
        return {"done": [pickle.dumps(each) for each in done]}


def require_ray() -> None:
    """See that Ray is installed.

    Raises:
        SourceError: it is not.
    """
    if find_spec("ray") is None:
        raise SourceError("Ray is not installed.", f"Install it: {install('ray')}")


def run(job: Job, chunks: Sequence[Chunk], address: str | None, workers: int | None, again: str) -> Iterator[Done]:
    """Do windows on a cluster; yield each, once it is done, in any order.

    Args:
        job: what to do; all that it names is on disks, or at URLs, that all workers reach by these names.
        chunks: windows.
        address: of the cluster, as Ray takes it; one is started on this machine where there is none.
        workers: how many load what the job needs, each with one processor; as many as there are processors by default.
        again: what to do when Ray is lost.

    Raises:
        SourceError: Ray is not installed, cannot be reached, or was lost.
        Hub2HFError: what a worker met.
    """
    require_ray()
    import ray
    import ray.data

    started = not ray.is_initialized()
    try:
        if started:
            _check_reachable(address)
            local = {} if address else {"include_dashboard": False, "num_cpus": workers}
            ray.init(address=address, logging_level="error", log_to_driver=False, **local)
        ray.data.DataContext.get_current().enable_progress_bars = False
        count = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        pool = ray.data.ActorPoolStrategy(size=count)
        size = max(1, min(TASK, len(chunks) // (SHARES * count)))
        tasks = [{"chunks": [[c.file, c.number] for c in chunks[i : i + size]]} for i in range(0, len(chunks), size)]
        made = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            Actor, batch_size=1, compute=pool, fn_constructor_args=(job,), num_cpus=1
        )
        for row in made.iter_rows():
            yield _told(row["done"])
    except Hub2HFError:
        raise
    except Exception as error:  # whatever Ray raises: of its own, or of a connection
        raise SourceError(
            f"The connection to Ray was lost: {type(error).__name__}: {first_line(error)}.", again
        ) from error
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


def _told(pickled: bytes) -> Done:
    """Return what a worker yielded (Hub2HFError: that it met)."""
    done = pickle.loads(pickled)
    if isinstance(done, Hub2HFError):
        raise done
    return done  # type: ignore[no-any-return]
