"""Games: the fast ones are gymnasium's own, step by step; saved and taken up again; refused in one line."""

import dataclasses
import shutil
import sys

import gymnasium
import numpy as np
import own_games
import pytest
from conftest import contents
from lottery.errors import InputError
from lottery.tasks import a2c
from lottery.tasks.a2c import fast_games, games


class GymnasiumS:
    """What gymnasium.make gives, stepped one by one."""

    def __init__(self, made, number):
        self.envs = [gymnasium.make(made) for _ in range(number)]

    def start(self, game, seed):
        return self.envs[game].reset(seed=seed)[0]

    def step(self, actions):
        found = [env.step(action) for env, action in zip(self.envs, actions, strict=True)]
        return [np.array(values) for values in list(zip(*found, strict=True))[:4]]


def assert_gymnasium_s(game, made, steps, choose, number=12):
    """Observations, rewards, both ends, and each start from its seed, over many whole games; how many ended
    and were cut off."""
    ours, theirs = games.make(game, number), GymnasiumS(made, number)
    live, ended, cut = np.ones(number, bool), 0, 0
    observations = np.stack([ours.start(place, place) for place in range(number)])
    assert np.array_equal(observations, [theirs.start(place, place) for place in range(number)])
    for _ in range(steps):
        actions = choose(observations)
        found, expected = ours.step(actions, live), theirs.step(actions)
        for a, b in zip(found, expected, strict=True):
            assert a.astype(b.dtype).tobytes() == b.tobytes()
        observations = found[0]
        ended, cut = ended + np.count_nonzero(found[2]), cut + np.count_nonzero(found[3])
        for place in np.flatnonzero(found[2] | found[3]):
            seed = int(1000 + ended + cut + place)
            observations[place] = ours.start(place, seed)
            assert np.array_equal(observations[place], theirs.start(place, seed))
    return ended, cut


def at_random(game):
    rng = np.random.default_rng(0)
    return lambda observations: rng.integers(0, game.actions, len(observations))


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
    game, rng = games.find(name), np.random.default_rng(0)
    assert game.entry in {**fast_games.ARRAYS, **fast_games.SINGLE}
    ended, _ = assert_gymnasium_s(game, game.played, steps, lambda seen: clever(name, seen, rng))
    assert ended > 10


@pytest.mark.parametrize("name", sorted(fast_games.PROVED))
def test_a_fast_game_is_cut_off_when_gymnasium_s_is(name):
    """By the limit that is registered, whatever it is."""
    game = games.find(name)
    short = dataclasses.replace(game, spec=dataclasses.replace(game.spec, max_episode_steps=20))
    assert short.entry
    ended, cut = assert_gymnasium_s(short, short.spec, 80, at_random(game), 4)
    assert cut > 4 and (ended > 0) == name.startswith("CartPole")


OWN = {  # the observation's values; steps until it is cut off, and the reward until then, of random play
    "Walk-v0": (3, 20, 20),
    "Walk-v1": (3, 15, 15),
    "TenTimes-v0": (3, 20, 200),
    "FiveTimes-v0": (3, 20, 100),
    "Clocked-v0": (4, 20, 20),
    "TwoAtOnce-v0": (3, 10, 20),
}


@pytest.mark.parametrize("name", OWN)
def test_what_gymnasium_makes_is_what_is_played(name):
    """Wrappers of the entry point and of the registration; the game's own end; no limit, or a registered
    one."""
    game = games.find(f"own_games:{name}")
    values, steps, reward = OWN[name]
    assert (game.played, game.observations, game.actions) == (f"own_games:{name}", values, 2)
    found = assert_gymnasium_s(game, game.played, 3 * steps + 1, at_random(game))
    assert found == (0, 3 * 12)
    assert a2c.chance({"game": game.played}, None) == reward


@pytest.mark.parametrize("name", ["SuttonsPole-v0", "TenTimesPole-v0"])
def test_a_fast_game_with_other_settings_or_wrappers_is_gymnasium_s(name):
    game = games.find(f"own_games:{name}")
    assert game.entry == "" and not games.all_at_once(game)
    ended, cut = assert_gymnasium_s(game, game.played, 100, at_random(game))
    assert ended > 0 and cut > 0


def test_a_game_s_chance_is_finite_where_its_rewards_are_not():
    assert a2c.chance({"game": "own_games:BadReward-v0"}, None) == 6


def test_an_id_is_as_gymnasium_takes_it(monkeypatch):
    assert games.find("CartPole").played == "CartPole-v1" and games.all_at_once(games.find("CartPole"))
    assert games.find("own_games:Walk").played == "own_games:Walk-v1"
    assert games.find("own_games:CartPole-v0").entry  # any module may register a game, also one that is known
    made = gymnasium.registry["MountainCar-v0"]
    monkeypatch.setitem(gymnasium.registry, "LunarLander-v2", dataclasses.replace(made, id="LunarLander-v2"))
    games.find.cache_clear()
    own = games.find("LunarLander-v2")
    games.find.cache_clear()
    assert (own.played, own.note, own.observations) == ("LunarLander-v2", "", 2)


@pytest.mark.parametrize(
    "change",
    [
        {"entry_point": gymnasium.registry["MountainCar-v0"].entry_point},
        {"kwargs": {"sutton_barto_reward": True}},
        {"additional_wrappers": (own_games.wrapper("Times", factor=10),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_known_id_that_stands_for_another_game_is_not_a_fast_one(monkeypatch, change):
    made = dataclasses.replace(gymnasium.registry["CartPole-v1"], **change)
    monkeypatch.setitem(gymnasium.registry, "CartPole-v1", made)
    games.find.cache_clear()
    own = games.find("CartPole-v1")
    games.find.cache_clear()
    assert own.entry == "" and not games.all_at_once(own)
    assert_gymnasium_s(own, own.spec, 100, at_random(own))


def test_an_acrobot_wraps_its_angles_and_bounds_its_speeds_as_gymnasium_s():
    env = gymnasium.make("Acrobot-v1").unwrapped
    states = np.array([[3.1, 3.1, 12.5, 28.0], [-3.1, -3.1, -12.5, -28.0], [3.0, -3.0, 12.0, -28.2]])
    advanced, _, _ = fast_games.Acrobot.advance(states, np.array([2, 0, 1]))
    for state, action, found in zip(states, (2, 0, 1), advanced, strict=True):
        env.reset(seed=0)
        env.state = state
        env.step(action)
        assert np.array_equal(found, env.state)


SAVED = ["CartPole-v1", "Acrobot-v1", "LunarLander-v2", "MountainCar-v0", *(f"own_games:{n}" for n in OWN)]


@pytest.mark.parametrize("name", SAVED)
def test_saved_games_go_on_as_they_would_have(name):
    """In mid-play, and through starts and ends; what a wrapper remembers of earlier games too."""
    game, rng, live = games.find(name), np.random.default_rng(0), np.ones(4, bool)
    played, resumed = games.make(game, 4), games.make(game, 2)
    for place in range(4):
        played.start(place, place)
    for step in range(70):
        _, _, ended, cut = played.step(rng.integers(0, game.actions, 4), live)
        for place in np.flatnonzero(ended | cut).tolist():
            played.start(place, 100 * step + place)
    resumed.restore(slice(0, 2), played.save(slice(2, 4)))
    played.keep(np.array([2, 3]))
    for step in range(30):
        actions = rng.integers(0, game.actions, 2)
        a, b = played.step(actions, live[:2]), resumed.step(actions, live[:2])
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        for place in np.flatnonzero(a[2] | a[3]).tolist():
            assert np.array_equal(played.start(place, step), resumed.start(place, step))


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
    ("own_gmaes:Walk-v0", "game: own_gmaes:Walk-v0 cannot be played here: No module named 'own_gmaes'"),
    ("own_games:Walk-v7", "game: 'own_games:Walk-v7': Environment version `v7`"),
    ("own_games:Walk:v0", "game: own_games:Walk:v0 cannot be played here: No module named 'own_games:Walk'"),
    ("own_games:CannotBeMade-v0", "CannotBeMade-v0 cannot be played here: RuntimeError: no licence found"),
    (
        "own_games:Liar-v0",
        "begins with an observation of shape (5,), its space: Box(-inf, inf, (3,), float32)",
    ),
    ("own_games:Grows-v0", "goes on with an observation of shape (4,), its space: Box(-inf, inf, (3,)"),
    ("own_games:Unpaid-v0", "Unpaid-v0 cannot be played here: TypeError: float() argument must be"),
    ("own_games:Stops-v0", "Stops-v0 cannot be played here: RuntimeError: connection lost"),
]


@pytest.mark.parametrize(("name", "message"), REFUSED, ids=[name for name, _ in REFUSED])
def test_a_game_is_refused_in_one_line(name, message):
    with pytest.raises(InputError) as error:
        games.find(name)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("missing", "named"), [("Box2D", "gymnasium[box2d]"), ("pygame", "pygame")])
def test_a_missing_dependency_is_named(missing, named, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("gymnasium.envs.box2d")]:
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
    game = {"family": "a2c", "game": "CartPole-v0", "hidden": [8], "episodes": 640, "length": "epoch5"}
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
