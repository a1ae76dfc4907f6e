import math

import pytest
import torch

from separatrix.errors import InputError
from separatrix.topology import World, roadmap

RING = World((-1.0, -1.0), (1.0, 1.0), ((0.0, 0.0),), (0.5,))


def circle(n, radius):
    angles = torch.arange(n, dtype=torch.float64) * 2 * math.pi / n
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1)


def test_a_segment_is_free_exactly_if_its_distance_to_the_centre_allows_it():
    # chords of a circle of radius r over an angle a pass the centre at r cos(a / 2)
    points = circle(24, 0.9)
    found = roadmap(RING, points, reach=2.0)
    steps = (found.pairs[:, 1] - found.pairs[:, 0]) % 24
    steps = torch.minimum(steps, 24 - steps)
    allowed = {k for k in range(1, 13) if 0.9 * math.cos(math.pi * k / 24) >= 0.5}
    assert set(steps.tolist()) == allowed
    assert len(found.pairs) == 24 * len(allowed)
    assert torch.allclose(found.lengths, 1.8 * torch.sin(math.pi * steps.double() / 24))


def test_the_shortest_path_goes_round_and_none_crosses_a_wall_of_discs():
    points = circle(24, 0.9)
    length, path = roadmap(RING, points, reach=0.3).shortest_path(0, 12)
    assert length == pytest.approx(12 * 1.8 * math.sin(math.pi / 24))
    assert (path[0], path[-1], len(path)) == (0, 12, 13)
    wall = World((-1.0, -1.0), (1.0, 1.0), tuple((0.0, y / 4) for y in range(-4, 5)), (0.2,) * 9)
    ends = torch.tensor([[-0.9, 0.0], [0.9, 0.0]])
    assert roadmap(wall, ends, reach=2.0).shortest_path(0, 1)[0] == math.inf
    assert roadmap(wall, ends, reach=2.0, feasible=False).shortest_path(0, 1)[0] == pytest.approx(1.8)


def test_what_is_not_free_or_not_there_is_refused():
    with pytest.raises(InputError, match=r"point 1 at \[0\.0, 0\.1\] is not free"):
        roadmap(RING, torch.tensor([[0.9, 0.0], [0.0, 0.1]], dtype=torch.float64), reach=1.0)
    with pytest.raises(InputError, match="reach must be positive, got 0"):
        roadmap(RING, circle(3, 0.9), reach=0)
    with pytest.raises(InputError, match="below 3, got 0, 3"):
        roadmap(RING, circle(3, 0.9), reach=1).shortest_path(0, 3)
