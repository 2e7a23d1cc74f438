"""A point of the cube is allowed exactly where its configuration is."""

import numpy as np
import pytest

from tinytune import testing
from tinytune.distributions import Choice, Float, Int
from tinytune.search.cube import Cube
from tinytune.space import Space

BY_WAY_OF_CONDITIONS = Space.of(
    {
        "kind": Choice("a", "b", "c"),
        "depth": Int(1, 9, when={"kind": ["b", "c"]}),
        "width": Int(1, 9, when={"depth": [1, 2, 3, 4]}),
        "rate": Float(1e-3, 1.0, log=True),
        "unseen": Float(0.0, 1.0),
    },
    where="width * rate <= 2",
)
SPACES = {**testing.spaces(), "by way of conditions": BY_WAY_OF_CONDITIONS}


@pytest.mark.parametrize("name", SPACES)
def test_constraints_hold_at_a_point_as_for_its_configuration(name):
    space = SPACES[name]
    cube = Cube(space)
    points = np.random.default_rng(0).uniform(-0.1, 1.1, (300, cube.size))  # clipped to the cube
    found = [cube.allows(point) for point in np.concatenate([points, points[::-1]])]
    wanted = [space.allows(cube.params(point)) for point in points]
    assert found == wanted + wanted[::-1]
    if name == "by way of conditions":
        assert len(set(found)) == 2
