"""The section ``decomposition`` of a diagnosis: what could be a potential, from block norms that were measured anyway."""

from __future__ import annotations

import math

from separatrix.probes.decompose.balance import balance
from separatrix.probes.decompose.local import potentialness_section, share_over_units
from separatrix.probes.interplay import Interplay


def decomposition_section(acting: Interplay) -> dict[str, object]:
    """Potentialness as measured and over all units of the players; costs no further product.

    The error of the balanced value takes the block norms' errors for independent.
    """
    squares = acting.norms.double().square()
    whole = float(squares.sum())
    value = 1 - acting.rotation_share if whole > 0 else math.nan
    spread = 0.0
    if whole > 0 and bool(acting.stderr.any()):
        left = balance(squares).square / whole
        for i in range(len(squares)):
            for j in range(len(squares)):
                moved = squares.clone()
                moved[i, j] = (acting.norms[i, j].double() + acting.stderr[i, j].double()) ** 2
                spread += (balance(moved).square / float(moved.sum()) - left) ** 2
    share = share_over_units(acting.players, squares, value, acting.rotation_stderr, math.sqrt(spread))
    return potentialness_section(math.sqrt(whole), share)
