"""A base-2 logarithm without branches or calls, so loops over it vectorise."""

from __future__ import annotations

import numpy as np

from online_model._numba import inlined

_ONE = np.int32(0x3F800000)
_MANTISSA = np.int32(0x007FFFFF)
C1, C2, C3, C4, C5 = 1.44183587, -0.70837215, 0.41355505, -0.19126251, 0.04424374


@inlined
def log2(x: np.float32) -> np.float32:
    """Return log2 of a positive normal float32, absolute error below 1e-4.

    The exponent comes from the bits, the mantissa's logarithm on [1, 2) from a polynomial of
    degree five (least-squares fit at Chebyshev nodes, forced through 0 at 1).
    """
    bits = np.float32(x).view(np.int32)
    exponent = np.float32((bits >> np.int32(23)) - np.int32(127))
    m = np.int32((bits & _MANTISSA) | _ONE).view(np.float32) - np.float32(1.0)
    p = np.float32(C5)
    p = p * m + np.float32(C4)
    p = p * m + np.float32(C3)
    p = p * m + np.float32(C2)
    p = p * m + np.float32(C1)
    return np.float32(exponent + p * m)
