"""Substitutes for weights: the interpreter runs a graph without its checkpoint."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from hub2hf.errors import REPORT, MappingError
from hub2hf.limits import memory, tick

# Numbers that substitutes are taken from. It is prime: the rows of a larger kernel never meet it at the same place again.
POOL = 524_287

FAR = 100.0  # how much longer some rows of the word embeddings are than others: there are graphs that shorten long ones
BLOCK = 3_072  # numbers of the pool, one block in three is of such rows: whole rows of most sizes

# What a variable is to the computation, which says of what size its substitute should be.
WORDS, VECTOR, GAMMA, KERNEL, MERGING = "words", "vector", "gamma", "kernel", "merging kernel"
DAMPING = "gamma without LayerNorm"
NEAR = {
    GAMMA: 1.0,
    DAMPING: 0.8,
}  # the latter keeps sums of what goes in and what comes out at one size, over many layers


@dataclass(frozen=True)
class Weights:
    """Random weights in place of a checkpoint's, the same for every run.

    Attributes:
        shapes: key → shape of the TensorFlow variable.
        roles: key → WORDS, a table that is cut to `rows`; VECTOR, any other table, or a bias; GAMMA and DAMPING, as
            `NEAR` has them; KERNEL, whose inputs are its first dimension; MERGING, whose inputs are all
            dimensions but the last.
        rows: rows that the word embeddings are cut to.
    """

    shapes: Mapping[str, tuple[int, ...]]
    roles: Mapping[str, str]
    rows: int

    def __call__(self, key: str) -> np.ndarray:
        """Return the substitute under `key`, float64: kernels keep the scale of their input, gammas are as `NEAR`."""
        tick(key)
        shape, role = self.shapes[key], self.roles[key]
        if role == WORDS:
            shape = (min(shape[0], self.rows), shape[1])
        if 16 * prod(shape) > memory():
            raise MappingError(f"The variable for {key} is too large to be tried: {list(shape)}.", REPORT)
        step = (POOL - shape[-1]) // shape[0] if role == WORDS and shape[0] else 0
        if step:  # the rows overlap in the pool: a probe asks for a few of thousands
            return overlapping(_of_words(), (shape[0], shape[1]))
        draw = _drawn(key, prod(shape)).reshape(shape)
        if role in (KERNEL, MERGING):
            draw /= np.sqrt(prod(shape[:-1]) if role == MERGING else shape[0])
            return draw
        draw *= 0.1
        draw += NEAR.get(role, 0.0)
        return draw


def overlapping(numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a table [rows, columns] whose rows are `numbers`, fewer than it holds, from one place after another."""
    step = max(1, min((len(numbers) - shape[1]) // shape[0], shape[1]))
    if (shape[0] - 1) * step + shape[1] > len(numbers):
        return np.broadcast_to(np.resize(numbers, (shape[0], 1)), shape)
    return as_strided(numbers, shape, (step * numbers.itemsize, numbers.itemsize), writeable=False)


@cache
def _pool() -> np.ndarray:
    """Numbers of zero mean and unit variance."""
    return np.asarray((np.random.default_rng(0).random(POOL) - 0.5) * np.sqrt(12.0))


@cache
def _of_words() -> np.ndarray:
    """The pool, as small as the numbers of a table are, but for the blocks whose rows are long."""
    numbers = _pool() * 0.1
    numbers[: POOL // (3 * BLOCK) * (3 * BLOCK)].reshape(-1, 3, BLOCK)[:, 1] *= FAR
    return numbers


def _drawn(key: str, count: int) -> np.ndarray:
    """Return `count` numbers of the pool, over and over, from a place that `key` gives: as random as a probe needs them.

    The kernels of LaBSE are 85 million numbers; drawing each anew, for every run, took most of the reading.
    """
    out = np.empty(count)
    at, source = zlib.crc32(key.encode()) % POOL, _pool()
    for start in range(0, count, POOL):
        end = min(start + POOL, count)
        first = min(POOL - at, end - start)
        out[start : start + first] = source[at : at + first]
        out[start + first : end] = source[: end - start - first]
    return out


def by_node(weights: Weights, key_of: Mapping[str, tuple[str, tuple[slice, ...]]]) -> Callable[[str], np.ndarray]:
    """Return the weights by the node name of the variable; a partitioned variable is given slice by slice."""

    def variable(name: str) -> np.ndarray:
        key, part = key_of[name]
        return weights(key)[part]

    return variable
