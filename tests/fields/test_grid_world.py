import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields.policies import grid_world


@pytest.mark.parametrize("seed", range(5))
def test_the_best_policy_walks_the_shortest_way_to_the_goal(seed):
    world = grid_world(5, pits=0, slip=0.0, discount=0.9, seed=seed)
    reached, distance = {12}, 1
    while not bool((world.rewards[list(reached)] == 1).any()):  # one more step would not enter the goal
        reached |= {int(t) for s in reached for t in (world.transitions[s] > 0).any(0).nonzero()[:, 0]}
        distance += 1
    value = world.values(world.optimal())[12]
    assert float(value) == pytest.approx(0.9 ** (distance - 1))


def test_slips_spread_over_the_four_moves_and_episodes_end_at_goal_and_pits():
    world = grid_world(4, pits=3, slip=0.4, seed=1)
    missing = 1 - world.transitions.sum(2)
    assert float(missing.min()) > -1e-12
    # what leaves ends at the goal (+1) or in a pit (-1), so it is at least the size of the reward
    assert bool((missing + 1e-12 >= world.rewards.abs()).all())
    assert float(world.transitions[10].amax()) <= 0.6 + 0.4 / 4 + 1e-12
    assert torch.equal(world.start, torch.nn.functional.one_hot(torch.tensor(8), 16).double())


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"pits at most 2; got 2, 0\.1, 3"):
        grid_world(2, pits=3)
