"""Lloyd-Max quantisers of the unit Gaussian, 2 to 8 bits (Max 1960, Lloyd 1982), and how often each index occurs.

The levels are constants, not computed at start-up: what a file's symbols mean must not depend on a machine's libm.
The tests derive them again from the two conditions that define them.
"""

import functools as ft
import math

import numpy as np

from latentmas.protocol.errors import InvalidInput
from latentmas.protocol.tensors import Array

MIN_BITS, MAX_BITS = 2, 8
FREQUENCY_SCALE = 1 << 20

# The upper half of each symmetric table, ascending.
# fmt: off
POSITIVE = {
    2: (
        0.45278003, 1.51041761,
    ),
    3: (
        0.24509418, 0.75600528, 1.34390928, 2.15194570,
    ),
    4: (
        0.12839503, 0.38804830, 0.65675912, 0.94234046, 1.25623120, 1.61804639, 2.06901723, 2.73258957,
    ),
    5: (
        0.06588966, 0.19805183, 0.33137831, 0.46669952, 0.60493362, 0.74713570, 0.89456512, 1.04878332, 1.21180438,
        1.38634034, 1.57622808, 1.78723322, 2.02872840, 2.31773940, 2.69111958, 3.26073249,
    ),
    6: (
        0.03340951, 0.10027829, 0.16729690, 0.23456699, 0.30219285, 0.37028265, 0.43894967, 0.50831378, 0.57850303,
        0.64965558, 0.72192194, 0.79546766, 0.87047659, 0.94715494, 1.02573635, 1.10648824, 1.18972014, 1.27579449,
        1.36514102, 1.45827637, 1.55583122, 1.65858890, 1.76754188, 1.88397724, 2.00961104, 2.14681022, 2.29898121,
        2.47130480, 2.67227384, 2.91740679, 3.24043706, 3.74410127,
    ),
    7: (
        0.01682817, 0.05049086, 0.08417264, 0.11788628, 0.15164465, 0.18546072, 0.21934764, 0.25331873, 0.28738756,
        0.32156794, 0.35587403, 0.39032030, 0.42492165, 0.45969343, 0.49465148, 0.52981221, 0.56519265, 0.60081053,
        0.63668431, 0.67283333, 0.70927785, 0.74603914, 0.78313962, 0.82060296, 0.85845421, 0.89671996, 0.93542849,
        0.97460997, 1.01429667, 1.05452319, 1.09532672, 1.13674739, 1.17882859, 1.22161742, 1.26516511, 1.30952762,
        1.35476629, 1.40094856, 1.44814893, 1.49645000, 1.54594375, 1.59673313, 1.64893391, 1.70267702, 1.75811144,
        1.81540771, 1.87476255, 1.93640456, 2.00060177, 2.06767148, 2.13799338, 2.21202752, 2.29033916, 2.37363427,
        2.46281143, 2.55904052, 2.66388654, 2.77951426, 2.90904707, 3.05724615, 3.23193320, 3.44743027, 3.73493664,
        4.18969416,
    ),
    8: (
        0.00844619, 0.02533938, 0.04223498, 0.05913460, 0.07603986, 0.09295236, 0.10987372, 0.12680558, 0.14374957,
        0.16070732, 0.17768050, 0.19467075, 0.21167976, 0.22870920, 0.24576078, 0.26283622, 0.27993724, 0.29706559,
        0.31422304, 0.33141138, 0.34863242, 0.36588800, 0.38317996, 0.40051021, 0.41788064, 0.43529321, 0.45274988,
        0.47025266, 0.48780360, 0.50540476, 0.52305828, 0.54076630, 0.55853102, 0.57635470, 0.59423962, 0.61218813,
        0.63020261, 0.64828553, 0.66643939, 0.68466676, 0.70297027, 0.72135262, 0.73981659, 0.75836501, 0.77700081,
        0.79572701, 0.81454668, 0.83346301, 0.85247928, 0.87159887, 0.89082527, 0.91016206, 0.92961296, 0.94918181,
        0.96887258, 0.98868937, 1.00863644, 1.02871819, 1.04893919, 1.06930417, 1.08981807, 1.11048599, 1.13131325,
        1.15230539, 1.17346818, 1.19480761, 1.21632997, 1.23804179, 1.25994992, 1.28206150, 1.30438402, 1.32692533,
        1.34969366, 1.37269763, 1.39594633, 1.41944929, 1.44321656, 1.46725873, 1.49158699, 1.51621314, 1.54114966,
        1.56640979, 1.59200755, 1.61795784, 1.64427649, 1.67098037, 1.69808745, 1.72561696, 1.75358945, 1.78202694,
        1.81095309, 1.84039334, 1.87037512, 1.90092806, 1.93208422, 1.96387840, 1.99634845, 2.02953567, 2.06348518,
        2.09824651, 2.13387415, 2.17042825, 2.20797546, 2.24658993, 2.28635445, 2.32736193, 2.36971713, 2.41353874,
        2.45896213, 2.50614256, 2.55525940, 2.60652147, 2.66017397, 2.71650758, 2.77587065, 2.83868579, 2.90547290,
        2.97688213, 3.05374202, 3.13713253, 3.22850021, 3.32984847, 3.44407168, 3.57558797, 3.73166626, 3.92563778,
        4.18659544, 4.60353561,
    ),
}
# fmt: on


def require_bits(name: str, bits: object) -> None:
    """Raise InvalidInput unless `bits` is a whole number that there is a quantiser for."""
    if type(bits) is not int or not MIN_BITS <= bits <= MAX_BITS:
        raise InvalidInput(f"{name} is {bits!r}; it must be a whole number from {MIN_BITS} to {MAX_BITS}", field=name)


@ft.cache
def levels(bits: int) -> Array:
    """Return the `2 ** bits` reconstruction levels, ascending, float32. Raises InvalidInput outside 2 to 8 bits."""
    require_bits("bits", bits)
    upper = np.array(POSITIVE[bits], np.float32)
    return np.concatenate([-upper[::-1], upper])


def boundaries(bits: int) -> Array:
    """Return the `2 ** bits - 1` decision boundaries: midway between neighbouring levels."""
    table = levels(bits)
    return (table[1:] + table[:-1]) / np.float32(2)


@ft.cache
def frequencies(bits: int) -> Array:
    """Return how often each index occurs for Gaussian input, as whole numbers of about `FREQUENCY_SCALE` in all, int64.

    No exact value lies near a rounding boundary (tested), so that every machine gets the same table.
    """
    edges = [-math.inf, *(float(edge) for edge in boundaries(bits)), math.inf]
    below = [math.erfc(-edge / math.sqrt(2)) / 2 for edge in edges]
    exact = np.diff(below) * FREQUENCY_SCALE
    half = np.maximum(1, np.round(exact[: len(exact) // 2])).astype(np.int64)  # the tail where erfc is precise
    return np.concatenate([half, half[::-1]])
