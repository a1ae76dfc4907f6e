"""A grid world: walk, slip, and end at a goal or in a pit."""

from __future__ import annotations

import torch

from separatrix.errors import InputError
from separatrix.fields.policies.mdp import TabularMDP


def grid_world(side: int = 5, *, pits: int = 2, slip: float = 0.1, discount: float = 0.95, seed: int = 0) -> TabularMDP:
    """Start in the middle; a random goal pays 1, random pits cost 1, and both end the episode.

    The four actions go up, down, left and right; with probability ``slip`` the move is any of the four instead, and a move
    against the wall stays. Cells are numbered row by row.

    Args:
        side: of the square, at least 2.
        pits: how many.
        slip: in [0, 1].
        discount: below 1, since episodes need not end.
        seed: of goal and pits.

    Raises:
        InputError: more pits than cells, or a number outside its range.

    Example:
        >>> world = grid_world(3, pits=0, slip=0.0, seed=0)
        >>> world.states, int((world.rewards == 1).sum())  # moves onto the goal: from three cells, and against its wall
        (9, 4)
    """
    cells = side * side
    if side < 2 or not 0 <= slip <= 1 or not 0 <= pits <= cells - 2:
        raise InputError(
            f"side must be at least 2, slip in [0, 1], pits at most {cells - 2}; got {side}, {slip}, {pits}."
        )
    middle = cells // 2
    drawn = torch.randperm(cells - 1, generator=torch.Generator().manual_seed(seed))[: 1 + pits]
    goal, *holes = (drawn + (drawn >= middle)).tolist()
    moves = torch.zeros(cells, 4, cells, dtype=torch.float64)
    for cell in range(cells):
        row, column = divmod(cell, side)
        ways = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
        for action, (r, c) in enumerate(ways):
            moves[cell, action, min(max(r, 0), side - 1) * side + min(max(c, 0), side - 1)] = 1.0
    transitions = (1 - slip) * moves + slip * moves.mean(1, keepdim=True)
    pays = torch.zeros(cells, dtype=torch.float64)
    pays[goal], pays[holes] = 1.0, -1.0
    rewards = transitions @ pays
    transitions[:, :, [goal, *holes]] = 0.0
    start = torch.nn.functional.one_hot(torch.tensor(middle), cells).double()
    return TabularMDP(transitions, rewards, start, discount)
