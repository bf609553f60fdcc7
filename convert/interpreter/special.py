"""Special functions, by series, recurrences and quadrature in float64: TensorFlow holds them, text encoders hardly ever.

Formulas are those of the NIST Digital Library of Mathematical Functions (dlmf.nist.gov), named where they are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from hub2hf.interpreter.registry import Value, elementary

Array = np.ndarray[Any, np.dtype[Any]]
EULER = 0.5772156649015329
TERMS = 500  # of a series or a continued fraction; each converges in far fewer

_lgamma = np.frompyfunc(lambda x: math.inf if x <= 0 and x == math.floor(x) else math.lgamma(x), 1, 1)
_erfc = np.frompyfunc(math.erfc, 1, 1)


def lgamma(x: Value) -> Array:
    """Return the logarithm of the absolute gamma function."""
    return np.asarray(_lgamma(x), np.float64)


@cache
def _gauss(count: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


def _integral(function: Callable[[Array], Array], low: Value, high: Value, count: int) -> Array:
    """Return the integral of a function of [..., count] from low to high by Gauss's rule."""
    nodes, weights = _gauss(count)
    low, high = np.asarray(low, np.float64)[..., np.newaxis], np.asarray(high, np.float64)[..., np.newaxis]
    half = (high - low) / 2
    return np.asarray((function(low + half * (nodes + 1)) * weights * half).sum(-1))


def zeta(s: Value, q: Value) -> Array:
    """Return Hurwitz's zeta function, for s > 1 and q > 0, by Euler and Maclaurin's sum (DLMF 25.11.28)."""
    s, q = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(q, np.float64))
    shift = 20
    total = sum(((q + n) ** -s for n in range(shift)), np.zeros(s.shape))
    a = q + shift
    total = total + a ** (1 - s) / (s - 1) + a**-s / 2
    rising, power = s, a ** (-s - 1)
    bernoulli = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
    for k, number in enumerate(bernoulli, 1):
        total = total + number / math.factorial(2 * k) * rising * power
        rising, power = rising * (s + 2 * k - 1) * (s + 2 * k), power / a**2
    found = np.where(s == 1, np.inf, np.where((s < 1) | ((q <= 0) & (q != np.floor(q))), np.nan, total))
    return np.where((q <= 0) & (q == np.floor(q)) & (s > 1), np.inf, found)


def digamma(x: Value) -> Array:
    """Return the logarithmic derivative of the gamma function (DLMF 5.5.2, 5.5.4, 5.11.2)."""
    x = np.asarray(x, np.float64)
    up = np.where(x < 0.5, 1 - x, x)
    low = sum((1 / (up + n) for n in range(10)), np.zeros(x.shape))
    a = up + 10
    series = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132)
    found = np.log(a) - 1 / (2 * a) - sum(c / a ** (2 * k) for k, c in enumerate(series, 1)) - low
    found = np.where(x < 0.5, found - np.pi / np.tan(np.pi * x), found)
    return np.where((x <= 0) & (x == np.floor(x)), np.nan, found)


def polygamma(n: Value, x: Value) -> Array:
    """Return the n-th derivative of digamma (DLMF 5.15.1)."""
    n, x = np.broadcast_arrays(np.asarray(n, np.float64), np.asarray(x, np.float64))
    higher = np.where(n % 2 == 0, -1, 1) * np.exp(lgamma(n + 1)) * zeta(n + 1, x)
    found = np.where(n == 0, digamma(x), higher)
    return np.where((n < 0) | (n != np.floor(n)), np.nan, found)


def igamma(a: Value, x: Value) -> Array:
    """Return the regularised lower incomplete gamma function (DLMF 8.7.1)."""
    return np.asarray(_gammas(a, x)[0])


def igammac(a: Value, x: Value) -> Array:
    """Return the regularised upper incomplete gamma function (DLMF 8.9.2)."""
    return np.asarray(_gammas(a, x)[1])


def _gammas(a: Value, x: Value) -> tuple[Array, Array]:
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    front = np.exp(a * np.log(x) - x - lgamma(a))
    term = total = 1 / a
    for n in range(1, TERMS):
        term = term * x / (a + n)
        total = total + term
    b = x + 1 - a
    c, d = np.full(a.shape, 1e300), 1 / b
    h = d
    for n in range(1, TERMS):
        step = -n * (n - a)
        b = b + 2
        d, c = 1 / (step * d + b), b + step / c
        h = h * d * c
    small = x < a + 1
    lower, upper = front * total, front * h
    lower, upper = np.where(small, lower, 1 - upper), np.where(small, 1 - lower, upper)
    wrong = (a <= 0) | (x < 0) | np.isnan(a) | np.isnan(x)
    lower, upper = np.where(x == 0, 0.0, lower), np.where(x == 0, 1.0, upper)
    lower, upper = np.where(np.isinf(x), 1.0, lower), np.where(np.isinf(x), 0.0, upper)
    return np.where(wrong, np.nan, lower), np.where(wrong, np.nan, upper)


def betainc(a: Value, b: Value, x: Value) -> Array:
    """Return the regularised incomplete beta function (DLMF 8.17.22)."""
    a, b, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64), np.asarray(x, np.float64))
    turned: Array = np.asarray(x > (a + 1) / (a + b + 2))
    p, q, y = (np.choose(turned, pair) for pair in ((a, b), (b, a), (x, 1 - x)))
    front = np.exp(p * np.log(y) + q * np.log1p(-y) + lgamma(p + q) - lgamma(p) - lgamma(q)) / p
    c, d = np.ones(p.shape), 1 / (1 - (p + q) * y / (p + 1))
    h = d
    for m in range(1, TERMS):
        even = m * (q - m) * y / ((p + 2 * m - 1) * (p + 2 * m))
        odd = -(p + m) * (p + q + m) * y / ((p + 2 * m) * (p + 2 * m + 1))
        for step in (even, odd):
            d, c = 1 / (1 + step * d), 1 + step / c
            h = h * d * c
    found = np.where(turned, 1 - front * h, front * h)
    found = np.where(x == 0, 0.0, np.where(x == 1, 1.0, found))
    return np.where((a <= 0) | (b <= 0) | (x < 0) | (x > 1), np.nan, found)


def ndtri(p: Value) -> Array:
    """Return the quantile of the normal distribution, by Newton's steps on the tail."""
    p = np.asarray(p, np.float64)
    tail = np.minimum(p, 1 - p)
    t = np.sqrt(-2 * np.log(np.where(tail > 0, tail, 0.5)))
    z = -(t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t * t))  # Abramowitz & Stegun 26.2.22
    for _ in range(8):
        below = np.asarray(_erfc(-z / math.sqrt(2)), np.float64) / 2
        slope = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        u = (below - tail) / slope
        z = z - u / (1 + z * u / 2)  # Halley's
    found = np.where(p > 0.5, -z, z)
    return np.where(p == 0, -np.inf, np.where(p == 1, np.inf, np.where((p < 0) | (p > 1), np.nan, found)))


def erfinv(y: Value) -> Array:
    """Return the inverse of the error function."""
    y = np.asarray(y, np.float64)
    small = np.abs(y) < 1e-3
    cubed = y + math.pi / 12 * y**3 + 7 * math.pi**2 / 480 * y**5
    return np.where(small, math.sqrt(math.pi) / 2 * cubed, ndtri((1 + y) / 2) / math.sqrt(2))


def dawson(x: Value) -> Array:
    """Return Dawson's integral by Rybicki's sum (DLMF 7.12, with steps of 0.2 exact to 1e-16)."""
    x, h = np.asarray(x, np.float64), 0.2
    near = 2 * np.round(x / h / 2)
    odd = np.arange(-69, 70, 2)
    total = np.exp(-(((x - near * h)[..., np.newaxis] - odd * h) ** 2)) / (near[..., np.newaxis] + odd)
    found = total.sum(-1) / math.sqrt(math.pi)
    return np.where(np.isinf(x), 0.0, found)


def expint(x: Value) -> Array:
    """Return the exponential integral Ei (DLMF 6.6.2, 6.12.2); of what is negative, as TensorFlow, no number."""
    x = np.asarray(x, np.float64)
    inside = np.clip(x, 0, 40)
    term, total = np.ones(x.shape), np.zeros(x.shape)
    for k in range(1, 200):
        term = term * inside / k
        total = total + term / k
    series = EULER + np.log(np.abs(inside)) + total
    far = np.maximum(x, 40)
    tail, piece = np.ones(x.shape), np.ones(x.shape)
    for k in range(1, 40):
        piece = piece * k / far
        tail = tail + piece
    found = np.where(x < 0, np.nan, np.where(x > 40, np.exp(far) / far * tail, series))
    return np.where(x == 0, -np.inf, np.where(x == np.inf, np.inf, found))


def _dilogarithm(z: Array) -> Array:
    """For z from -1 to 1/2 (DLMF 25.12.1)."""
    total, power = np.zeros(z.shape), np.ones(z.shape)
    for k in range(1, 80):
        power = power * z
        total = total + power / (k * k)
    return total


def spence(x: Value) -> Array:
    """Return the dilogarithm of 1 - x (DLMF 25.12.3, 25.12.4, 25.12.6)."""
    x = np.asarray(x, np.float64)
    y = np.where(x > 2, 1 / np.where(x == 0, 1, x), x)  # now from 0 to 2
    log = np.log(np.where(y > 0, y, 1))
    near, far = _dilogarithm(np.clip(1 - y, -0.5, 0.5)), _dilogarithm(np.clip(y, 0, 0.5))
    middle = _dilogarithm(np.clip(1 - 1 / np.where(y > 0, y, 1), -1, 0.5))
    found = np.where(y < 0.5, math.pi**2 / 6 - log * np.log1p(-np.where(y < 0.5, y, 0)) - far, near)
    found = np.where(y > 1.5, -middle - log**2 / 2, found)
    found = np.where(x > 2, -(np.log(np.where(x > 0, x, 1)) ** 2) / 2 - found, found)
    return np.where(x < 0, np.nan, np.where(x == 0, math.pi**2 / 6, found))


def _fresnel(sine: bool) -> Callable[[Value], Array]:
    """Fresnel's integrals (DLMF 7.2.7, 7.2.8; for large x 7.5.3 with 7.12.2)."""
    wave = np.sin if sine else np.cos

    def integral(x: Value) -> Array:
        x = np.asarray(x, np.float64)
        size = np.abs(x)
        near = np.minimum(size, 6.0)
        found = _integral(lambda t: wave(math.pi / 2 * t * t), 0.0 * near, near, 128)
        y = np.maximum(size, 6.0)
        w = 1 / (math.pi * y * y)
        f = (1 - 3 * w**2 + 105 * w**4 - 10395 * w**6) / (math.pi * y)
        g = (w - 15 * w**3 + 945 * w**5) / (math.pi * y)
        angle = math.pi / 2 * y * y
        far = 0.5 - f * np.cos(angle) - g * np.sin(angle) if sine else 0.5 + f * np.sin(angle) - g * np.cos(angle)
        return np.asarray(np.copysign(np.where(size > 6, np.where(np.isinf(x), 0.5, far), found), x))

    return integral


def _bessel_i(order: int, scaled: bool) -> Callable[[Value], Array]:
    """Modified Bessel functions of the first kind (DLMF 10.32.3): the trapezoid rule is exact on a whole period."""
    angles = (np.arange(400) + 0.5) * math.pi / 400

    def bessel(x: Value) -> Array:
        x = np.asarray(x, np.float64)
        size = np.abs(x)[..., np.newaxis]
        found = (np.exp(size * (np.cos(angles) - 1)) * np.cos(order * angles)).mean(-1)
        found = found if scaled else found * np.exp(np.abs(x))
        return np.asarray(np.where((x < 0) & (order == 1), -found, found))

    return bessel


def _bessel_k(order: int, scaled: bool) -> Callable[[Value], Array]:
    """Modified Bessel functions of the second kind (DLMF 10.32.9)."""

    def bessel(x: Value) -> Array:
        x = np.asarray(x, np.float64)
        safe = np.where(x > 0, x, 1.0)
        t = np.arange(0, 4000)[:, np.newaxis] * 0.0125  # beyond 50, even the smallest x has let it vanish
        powers = np.exp(-safe.ravel() * (np.cosh(t) - 1)) * np.cosh(order * t)
        total = (powers.sum(0) - powers[0] / 2) * 0.0125
        found = total.reshape(x.shape) * (1.0 if scaled else np.exp(-safe))
        return np.where(x <= 0, np.inf, found)

    return bessel


def _bessel_j(order: int) -> Callable[[Value], Array]:
    """Bessel functions of the first kind (DLMF 10.9.2)."""
    angles = (np.arange(800) + 0.5) * math.pi / 800

    def bessel(x: Value) -> Array:
        x = np.asarray(x, np.float64)[..., np.newaxis]
        return np.asarray(np.cos(order * angles - x * np.sin(angles)).mean(-1))

    return bessel


def _bessel_y(order: int) -> Callable[[Value], Array]:
    """Bessel functions of the second kind (DLMF 10.9.7)."""

    def bessel(x: Value) -> Array:
        x = np.asarray(x, np.float64)
        safe = np.where(x > 0, x, 1.0)
        y = safe[..., np.newaxis]
        first = _integral(lambda t: np.sin(y * np.sin(t) - order * t), 0.0 * safe, np.full(x.shape, math.pi), 400)
        sign = -1 if order % 2 else 1
        # where x sinh t = 745, the integrand has vanished
        end = np.arcsinh(745 / safe)
        second = _integral(
            lambda t: (np.exp(order * t) + sign * np.exp(-order * t)) * np.exp(-y * np.sinh(t)), 0 * end, end, 400
        )
        return np.where(x <= 0, -np.inf, (first - second) / math.pi)

    return bessel


def _cost(node: Any, inputs: Any) -> int:
    return 4000 * max(map(np.size, inputs))


elementary(
    {
        **{f"BesselI{n}{'e' * e}": _bessel_i(n, bool(e)) for n in (0, 1) for e in (0, 1)},
        **{f"BesselK{n}{'e' * e}": _bessel_k(n, bool(e)) for n in (0, 1) for e in (0, 1)},
        **{f"BesselJ{n}": _bessel_j(n) for n in (0, 1)},
        **{f"BesselY{n}": _bessel_y(n) for n in (0, 1)},
        "Betainc": betainc,
        "Dawsn": dawson,
        "Digamma": digamma,
        "Erfinv": erfinv,
        "Expint": expint,
        "FresnelCos": _fresnel(False),
        "FresnelSin": _fresnel(True),
        "Igamma": igamma,
        "Igammac": igammac,
        "Lgamma": lgamma,
        "Ndtri": ndtri,
        "Polygamma": polygamma,
        "Spence": spence,
        "Zeta": zeta,
    },
    cost=_cost,
)
