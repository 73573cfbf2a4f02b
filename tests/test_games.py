"""Games: the fast ones are gymnasium's own, step by step; saved and taken up again; refused in one line."""

import shutil
import sys

import gymnasium
import numpy as np
import pytest
from conftest import contents
from lottery.errors import InputError
from lottery.tasks.a2c import fast_games, games


def gymnasium_s_own(name, number):
    """The game as gymnasium steps it, time limit apart."""
    stepped = games.SteppedGames(games.find("MountainCar-v0"), number)
    stepped.envs = [gymnasium.make(name, max_episode_steps=-1).unwrapped for _ in range(number)]
    stepped.nothing = ((0.0,) * games.find(name).observations, *stepped.nothing[1:])
    return stepped


def clever(name, observations, rng):
    """Actions that bring games far: the pole is held up, the acrobot swung, the lander braked."""
    if name.startswith("CartPole"):
        chosen = observations[:, 2] + 0.5 * observations[:, 3] > 0
    elif name.startswith("Acrobot"):
        chosen = 1 + np.sign(observations[:, 5])
    else:
        falls = observations[:, 3] < -0.15 - 0.2 * observations[:, 1]
        chosen = np.where(falls, 2, np.where(observations[:, 4] > 0.1, 3, observations[:, 4] < -0.1))
    at_random = rng.integers(0, 2, len(observations))
    return np.where(rng.random(len(observations)) < 0.25, at_random, chosen).astype(int)


@pytest.mark.parametrize(
    ("name", "steps"), [("CartPole-v0", 1500), ("Acrobot-v1", 900), ("LunarLander-v2", 1500)]
)
def test_a_fast_game_is_gymnasium_s_bit_by_bit(name, steps):
    """Observations, rewards, ends, and each start from its seed, over many whole games."""
    game, number = games.find(name), 12
    fast, slow = games.make(game, number), gymnasium_s_own(game.played, number)
    assert game.entry in {**fast_games.ARRAYS, **fast_games.SINGLE}
    rng, live, ended = np.random.default_rng(0), np.ones(number, bool), 0
    observations = np.stack([fast.start(place, place) for place in range(number)])
    assert np.array_equal(observations, [slow.start(place, place) for place in range(number)])
    for _ in range(steps):
        actions = clever(name, observations, rng)
        found, expected = fast.step(actions, live), slow.step(actions, live)
        for a, b in zip(found, expected, strict=True):
            assert a.astype(b.dtype).tobytes() == b.tobytes()
        observations = found[0]
        for place in np.flatnonzero(found[2]):
            ended += 1
            observations[place] = fast.start(place, 1000 + ended)
            assert np.array_equal(observations[place], slow.start(place, 1000 + ended))
    assert ended > 10


def test_an_acrobot_wraps_its_angles_and_bounds_its_speeds_as_gymnasium_s():
    env = gymnasium.make("Acrobot-v1").unwrapped
    states = np.array([[3.1, 3.1, 12.5, 28.0], [-3.1, -3.1, -12.5, -28.0], [3.0, -3.0, 12.0, -28.2]])
    advanced, _, _ = fast_games.Acrobot.advance(states, np.array([2, 0, 1]))
    for state, action, found in zip(states, (2, 0, 1), advanced, strict=True):
        env.reset(seed=0)
        env.state = state
        env.step(action)
        assert np.array_equal(found, env.state)


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "LunarLander-v2", "MountainCar-v0"])
def test_saved_games_go_on_as_they_would_have(name):
    game, rng, live = games.find(name), np.random.default_rng(0), np.ones(4, bool)
    played, resumed = games.make(game, 4), games.make(game, 2)
    for place in range(4):
        played.start(place, place)
    for _ in range(70):
        played.step(rng.integers(0, game.actions, 4), live)
    resumed.restore(slice(0, 2), played.save(slice(2, 4)))
    played.keep(np.array([2, 3]))
    for _ in range(30):
        actions = rng.integers(0, game.actions, 2)
        a, b = played.step(actions, live[:2]), resumed.step(actions, live[:2])
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_what_is_played_and_why_is_told():
    game = games.find("LunarLander-v2")
    assert game.played == "LunarLander-v3" and "wind is off" in game.note
    assert (games.find("CartPole-v0").limit, games.find("CartPole-v1").limit) == (200, 500)
    assert games.find("CartPole-v0").note == ""


REFUSED = [
    ("CartPoole-v0", "game: 'CartPoole-v0': Environment `CartPoole` doesn't exist"),
    ("CartPole-v7", "game: 'CartPole-v7': Environment version `v7`"),
    ("Pendulum-v1", "game: Pendulum-v1 has actions Box(-2.0, 2.0, (1,), float32), allowed: Discrete"),
    ("Blackjack-v1", "game: Blackjack-v1 has observations Tuple("),
    ("ALE/Breakout-v5", "game: 'ALE/Breakout-v5': Namespace ALE not found"),
]


@pytest.mark.parametrize(("name", "message"), REFUSED, ids=[name for name, _ in REFUSED])
def test_a_game_is_refused_in_one_line(name, message):
    with pytest.raises(InputError) as error:
        games.find(name)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("missing", "named"), [("Box2D", "gymnasium[box2d]"), ("pygame", "pygame")])
def test_a_missing_dependency_is_named(missing, named, monkeypatch):
    for module in [name for name in sys.modules if "box2d" in name.lower() or name == missing]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    games.find.cache_clear()
    with pytest.raises(InputError, match="game: LunarLander-v3 cannot be played here") as error:
        games.find("LunarLander-v2")
    assert named in str(error.value) and "\n" not in str(error.value)


# --- in the workflow


def test_a_new_game_is_one_config_entry(workspace):
    """MountainCar, which no code of the project names; and its files are those of the library alone."""
    game = {"family": "a2c", "game": "MountainCar-v0", "hidden": [8], "episodes": 2, "length": "epoch2"}
    workspace.tasks["mountaincar"] = game | {"environments": 2, "reward_episodes": 3}
    curves = [
        {"name": "winning", "task": "mountaincar", "recipe": "imp-biases"},
        {"name": "random", "task": "mountaincar", "recipe": "imp-biases", "ticket": "random"},
    ]
    figures = [
        {"name": "main", "kind": "metric", "title": "MountainCar", "curves": ["winning", "random"]},
        {
            "name": "learning",
            "kind": "learning",
            "title": "MountainCar",
            "curves": ["winning"],
            "levels": [0],
        },
    ]
    workspace.study = {"study": "car", "seeds": [1], "levels": 2, "curves": curves, "figures": figures}
    workspace.write()
    workspace.snakemake()
    rows = [
        line.split(",") for line in (workspace.path / "results/tables/car/runs.csv").read_text().splitlines()
    ]
    played = rows[0].index("game")
    assert len(rows) == 1 + 3 + 2 and {row[played] for row in rows[1:]} == {"MountainCar-v0"}
    assert {row[rows[0].index("value")] for row in rows[1:]} == {"-200.0"}
    assert (workspace.path / "results/figures/car/learning.png").exists()


def test_games_that_wait_are_trained_together_and_give_the_same_files(workspace):
    """More cores for Snakemake than there are: as many processes as cores, several tickets in each."""
    game = {"family": "a2c", "game": "CartPole-v0", "hidden": [8], "episodes": 40, "length": "epoch3"}
    workspace.tasks["pole"] = game | {"reward_episodes": 20}
    curves = [
        {"name": "winning", "task": "pole", "recipe": "imp-biases"},
        {"name": "random", "task": "pole", "recipe": "imp-biases", "ticket": "random"},
    ]
    workspace.study = {"study": "pole", "seeds": [1, 2, 3], "levels": 3, "curves": curves, "figures": []}
    workspace.write()
    kinds = [workspace.path / "results" / kind for kind in ("dense", "lineage", "random")]

    def together():
        logs = (workspace.path / "results/logs").rglob("*.log")
        return sum("trained together with" in log.read_text() for log in logs)

    workspace.snakemake("--cores", "1")
    assert together() == 0
    alone = [contents(folder) for folder in kinds]
    shutil.rmtree(workspace.path / "results")
    workspace.snakemake("--cores", "24")
    assert together() > 5
    assert [contents(folder) for folder in kinds] == alone
