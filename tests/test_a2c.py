"""Control games: the gradient, exact masks, tickets side by side, resuming, what is counted and recorded."""

import copy
import dataclasses
import json

import numpy as np
import pytest
import scipy.stats
import torch
import yaml
from conftest import REPO
from lottery import addresses, masks, stages, tickets
from lottery.config import read_tasks
from lottery.errors import InputError
from lottery.pruning import Pruning
from lottery.rewinding import Rewind
from lottery.runs import Process, Run
from lottery.seeds import seed_for
from lottery.study import read_study, training_settings
from lottery.tasks import a2c as family
from lottery.tasks.a2c import ensemble, games
from lottery.tasks.a2c.learner import ActorCritic
from lottery.tasks.a2c.torch_learner import TorchActorCritic
from lottery.training import checkpoints
from lottery.weights import load_arrays

TINY = {
    "family": "a2c",
    "game": "CartPole-v0",
    "hidden": [16, 12],
    "episodes": 6,
    "length": "epoch4",
    "environments": 5,
    "reward_episodes": 8,
    "optimizer": {"lr": 1.0e-3},
}
SHORT = {"length": "epoch1", "reward_episodes": 6}
ALL = Pruning(roles=("weight", "bias"))


@pytest.fixture
def task(tmp_path):
    """Make a task of the tiny entry with some keys changed: task(game="Acrobot-v1")."""

    def make(**changes):
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        (folder / "tiny.yaml").write_text(yaml.safe_dump({"tiny": copy.deepcopy(TINY) | changes}))
        return read_tasks(folder, {})["tiny"]

    return make


@pytest.fixture
def run(tmp_path):
    """Make a run of a task: run(task, level=6, seed=1, ...)."""

    def make(task, level=0, seed=1, **more):
        start, mask = family.initialise(task, seed_for(seed, "init")), None
        if level:
            mask, start = tickets.random_ticket(ALL, level, start, np.random.default_rng(0))
        checkpoint = tmp_path / f"{seed}-{level}.safetensors"
        values = {"rewind": Rewind(), "checkpoint": checkpoint, "name": "test", **more}
        return Run(start=start, mask=mask, seed=seed, **values)

    return make


def bits(trained):
    """All that a training has made, but for the time it took."""
    networks = {"final": trained.network.tensors}
    for point, (network, optimizer) in trained.rewound.items():
        networks |= {point: network.tensors, f"{point} optimizer": optimizer}
    arrays = {
        f"{name} {key}": a.tobytes() for name, tensors in networks.items() for key, a in tensors.items()
    }
    return arrays, trained.metrics, trained.curve, trained.status, trained.reason


# --- the two learners


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_both_learners_take_the_same_gradient_step(task, run, reduction):
    made = task(game="Acrobot-v1", entropy_weight=0.1, value_weight=0.7, reduction=reduction)
    runs = [run(made, seed=1), run(made, level=3, seed=2)]
    numpy_s, torch_s = ActorCritic(made, runs), TorchActorCritic(made, runs)
    rng, rows = np.random.default_rng(0), made["rollout"] * made["environments"]

    def act(rng):
        for step in range(made["rollout"] + 1):
            observations = rng.normal(size=(2, made["environments"], 6)).astype(np.float32)
            found, expected = numpy_s.act(step, observations), torch_s.act(step, observations)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    for update in range(3):
        act(np.random.default_rng(update))
        actions = rng.integers(0, 3, (2, rows))
        targets = rng.normal(size=(2, rows)).astype(np.float32)
        weight = (rng.random((2, rows)) < 0.9).astype(np.float32) / (rows if reduction == "mean" else 1)
        numpy_s.backward(numpy_s.output_gradient(actions, targets, weight))
        torch_s.loss(actions, targets, weight).backward()
        for ticket, model in enumerate(torch_s.models):
            gradient = numpy_s._tensors(numpy_s.gradient[ticket])
            for name, parameter in model.named_parameters():
                np.testing.assert_allclose(gradient[name], parameter.grad.numpy(), rtol=1e-4, atol=1e-6)
            model.zero_grad()
        act(np.random.default_rng(update))  # autograd's graph serves once
        numpy_s.update(actions, targets, weight)
        torch_s.update(actions, targets, weight)
        for ticket in (0, 1):
            ours, theirs = numpy_s.network(ticket).tensors, torch_s.network(ticket).tensors
            state, expected = numpy_s.optimizer_state(ticket), torch_s.optimizer_state(ticket)
            for name in theirs:
                np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5)
                key = f"{name}:square_avg"
                np.testing.assert_allclose(state[key], expected[key], rtol=1e-4, atol=1e-8)


def test_the_output_gradient_is_the_derivative_of_the_loss_by_the_outputs(task, run):
    made = task(game="Acrobot-v1", entropy_weight=0.2, value_weight=0.5)
    torch_s, ours = TorchActorCritic(made, [run(made)]), ActorCritic(made, [run(made)])
    rng, rows = np.random.default_rng(0), made["rollout"] * made["environments"]
    outputs = rng.normal(size=(1, rows, 4))
    torch_s.outputs = [torch.from_numpy(outputs).requires_grad_()] * 4
    torch_s.task = {**made, "rollout": 1}
    ours.outputs = outputs.astype(np.float32)
    arguments = rng.integers(0, 3, (1, rows)), rng.normal(size=(1, rows)), rng.random((1, rows))
    torch_s.loss(*arguments).backward()
    expected = torch_s.outputs[0].grad.numpy()
    np.testing.assert_allclose(ours.output_gradient(*arguments), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("learner", ["numpy", "torch"])
def test_pruned_weights_are_0_from_first_to_last(task, run, learner):
    made = task(learner=learner)
    asked = run(made, level=6)
    trained, moved = ensemble.train(made, [asked])[0], 0
    for name, mask in asked.mask.items():
        tensor = trained.network.tensors[name]
        assert np.all(tensor[~mask] == 0) and not np.any(np.signbit(tensor[~mask]))
        moved += np.count_nonzero(tensor != asked.start.tensors[name])
    assert masks.kept(asked.mask) == round(masks.prunable(asked.mask) * 0.8**6) and moved > 20


def test_a_step_moves_no_pruned_weight_and_remembers_nothing_of_it(task, run):
    made = task()
    asked = run(made, level=4)
    learner = ActorCritic(made, [asked])
    rng, rows = np.random.default_rng(0), made["rollout"] * made["environments"]
    for step in range(5):
        learner.act(step, rng.normal(size=(1, 5, 4)))
    learner.update(rng.integers(0, 2, (1, rows)), rng.normal(size=(1, rows)), np.ones((1, rows), np.float32))
    state = learner.optimizer_state(0)
    for name, mask in asked.mask.items():
        assert np.all(learner.network(0).tensors[name][~mask] == 0)
        assert np.all(state[f"{name}:square_avg"][~mask] == 0)
    assert any(np.any(a) for a in state.values())


# --- side by side, alone, killed: the same bits


@pytest.mark.parametrize("game", ["CartPole-v0", "Acrobot-v1", "LunarLander-v2"])
def test_tickets_train_alone_or_in_any_company_with_the_same_bits(task, run, game):
    made = task(game=game, hidden=[32, 32], **SHORT if game != "CartPole-v0" else {})
    asked = [run(made, level=level, seed=seed) for level in (0, 5) for seed in (1, 2, 3)]
    alone = [bits(ensemble.train(made, [one])[0]) for one in asked]
    for order in ([3, 0, 4], [5, 2, 0, 1, 4, 3], [1, 3, 5, 0, 2, 4]):
        together = ensemble.train(made, [asked[place] for place in order])
        assert [bits(one) for one in together] == [alone[place] for place in order]
    assert len({one[0]["final policy.weight"] for one in alone}) == 6


def files(folder):
    """Relative path -> content of every file but those that say how it came about."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "provenance.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def random_tickets(made, folder, seeds_and_levels):
    chance = folder.with_suffix(".json")
    chance.write_text('{"value": 20.0}')
    pruning = dataclasses.asdict(ALL)
    for seed, level in seeds_and_levels:
        where = folder / f"seed{seed}/level{level}"
        where.mkdir(parents=True)
        outputs = addresses.files(str(where), "metrics", "curve", "provenance", "trained")
        settings = training_settings(made, seed, level, "random", pruning=pruning)
        yield stages.train_random(settings, {"chance": str(chance)}, outputs, Process())


def test_stages_run_together_write_the_files_that_each_writes_alone(task, tmp_path):
    made = task()
    asked = [(seed, level) for seed in (1, 2, 3) for level in (1, 7)]
    for stage in random_tickets(made, tmp_path / "alone", asked):
        stages.run(stage)
    expected = files(tmp_path / "alone")
    assert len(expected) == 18
    for number, order in enumerate(([0], [4, 1, 3], [5, 0, 3, 2, 4, 1])):
        folder = tmp_path / str(number)
        stages.run(*random_tickets(made, folder, [asked[place] for place in order]))
        found = files(folder)
        assert len(found) == 3 * len(order)
        assert found == {name: expected[name] for name in found}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"learner": "torch"},
        SHORT | {"game": "MountainCar-v0"},
        SHORT | {"game": "LunarLander-v2"},
        SHORT | {"game": "own_games:Clocked-v0", "episodes": 40},
    ],
)
@pytest.mark.parametrize("level", [0, 5])
def test_killed_and_resumed_it_ends_with_the_same_bits(task, run, changes, level, monkeypatch):
    """Weights, optimizer, games under way, random streams; each ticket of an ensemble from where it was."""
    made = task(**changes)
    points = () if level else tuple(made["rewind_points"])
    asked = [run(made, level, seed, rewind_points=points) for seed in (1, 2)]
    undisturbed = [bits(one) for one in ensemble.train(made, asked)]

    class Killed(Exception):  # noqa: N818
        pass

    class SavesAt(checkpoints.Checkpoint):
        """Saves at some updates, and dies some updates after the last of them without warning."""

        due = True

        def save(self, arrays, state):
            if state["updates"] in self.saves:
                super().save(arrays, state)
            if state["updates"] == self.dies:
                raise Killed

    monkeypatch.setattr(ensemble, "Checkpoint", SavesAt)
    for SavesAt.saves, SavesAt.dies in (({3}, 7), ({11, 12}, 12), ({20, 21}, 25)):
        with pytest.raises(Killed):
            ensemble.train(made, asked)
    SavesAt.saves, SavesAt.dies = {}, -1
    assert bits(ensemble.train(made, asked[:1])[0]) == undisturbed[0]
    assert bits(ensemble.train(made, asked[1:])[0]) == undisturbed[1]
    assert load_arrays(asked[0].checkpoint)[1]["state"]["updates"] == 21


# --- what is counted, learned from and recorded


def test_epochs_rewards_and_steps_are_of_finished_games(task, run):
    made = task()
    asked = run(made, rewind_points=("epoch1",))
    trained = ensemble.train(made, [asked])[0]
    rewards, lengths = ([row[key] for row in trained.curve] for key in ("episodic_reward", "length"))
    assert [row["game"] for row in trained.curve] == list(range(1, 25)) and rewards == lengths
    steps = [row["step"] for row in trained.curve]
    assert steps == sorted(steps) and steps[-1] <= trained.metrics["steps"] <= steps[-1] + 4 * 5
    assert sum(lengths) <= trained.metrics["steps"] <= sum(lengths) + 5 * 200
    assert trained.metrics["episodic_reward"] == np.mean(rewards[-8:])
    assert trained.metrics["examples"] == 8
    assert trained.metrics["standard_error"] == pytest.approx(scipy.stats.sem(rewards[-8:]))
    assert trained.metrics["training_reward"] == pytest.approx(np.mean(rewards))
    assert trained.metrics["game"] == "CartPole-v0" and trained.metrics["games"] == 24
    first = ensemble.train(task(length="epoch1", reward_episodes=6), [run(made)])[0]
    rewound = trained.rewound["epoch1"][0]
    assert all(np.array_equal(first.network.tensors[n], rewound.tensors[n]) for n in rewound.tensors)
    assert family.steps(task(episodes_scope="environment"), "epoch4") == 4 * 6 * 5


def test_a_schedule_taken_from_epoch1_plays_what_is_left_of_it(task, run):
    made = task()
    trained = ensemble.train(made, [run(made, rewind=Rewind(schedule="epoch1"))])[0]
    assert len(trained.curve) == 24 - 6


@pytest.mark.parametrize("n_step", [1, 2, 3, 4])
@pytest.mark.parametrize("bootstrap", [True, False])
def test_targets_are_rewards_and_the_value_of_the_state_then(task, n_step, bootstrap):
    """Against the definition, one transition at a time; games end in both ways within and across rollouts."""
    made = task(n_step=n_step, discount=0.9, bootstrap_timeouts=bootstrap)
    rng, environments = np.random.default_rng(n_step), 200
    values = rng.normal(size=(1, 5, environments)).astype(np.float32)
    rewards = rng.normal(size=(1, 4, environments)).astype(np.float32)
    live, ended, out = (np.zeros((1, 4, environments), bool) for _ in range(3))
    over = rng.random((1, environments)) < 0.2
    for t in range(4):
        live[:, t] = ~over
        ended[:, t] = live[:, t] & (rng.random((1, environments)) < 0.2)
        out[:, t] = live[:, t] & ~ended[:, t] & (rng.random((1, environments)) < 0.2)
        over = ended[:, t] | out[:, t]
    found = ensemble.targets(made, values, rewards, live, ended if bootstrap else ended | out)
    for t in range(4):
        for e in range(environments):
            if not live[0, t, e]:
                continue
            total, s = 0.0, t
            while True:
                total += 0.9 ** (s - t) * rewards[0, s, e]
                s += 1
                if ended[0, s - 1, e] or (out[0, s - 1, e] and not bootstrap):
                    break
                if out[0, s - 1, e] or s == 4 or s - t == n_step:
                    total += 0.9 ** (s - t) * values[0, s, e]
                    break
            assert found[0, t, e] == pytest.approx(total, rel=1e-5, abs=1e-6)


def test_actions_are_drawn_with_the_probabilities_of_the_policy():
    logits = np.array([[[0.0, 1.0, -1.0], [50.0, -900.0, 49.0]]], np.float32)
    draws = np.random.default_rng(0).random((40_000, 1, 2), np.float32)
    actions = np.array([ensemble.sample(logits, draw)[0] for draw in draws])
    for column, row in zip(actions.T, logits[0], strict=True):
        powers = np.exp(row - row.max(), dtype=float)
        np.testing.assert_allclose(
            np.bincount(column, minlength=3) / 40_000, powers / powers.sum(), atol=0.01
        )


def test_a_time_out_ends_a_game_at_gymnasium_s_limit(task, run, monkeypatch):
    made = task(game="MountainCar-v0", length="epoch1", environments=2, episodes=2, reward_episodes=2)
    trained = ensemble.train(made, [run(made)])[0]
    assert [(row["length"], row["episodic_reward"]) for row in trained.curve] == [(200, -200.0)] * 2


@pytest.mark.parametrize("bootstrap", [True, False])
def test_a_game_that_cuts_itself_off_is_over_but_not_worth_nothing(task, run, monkeypatch, bootstrap):
    """`truncated` without a registered limit; what a wrapper makes of the rewards is what is recorded."""
    learned, finals = ensemble.targets, []

    def spied(made, values, rewards, live, final):
        finals.append(int(np.count_nonzero(final & live)))
        return learned(made, values, rewards, live, final)

    monkeypatch.setattr(ensemble, "targets", spied)
    made = task(game="own_games:TenTimes-v0", bootstrap_timeouts=bootstrap, **SHORT)
    trained = ensemble.train(made, [run(made)])[0]
    assert [(row["length"], row["episodic_reward"]) for row in trained.curve] == [(20, 200.0)] * 6
    assert trained.curve[0]["step"] == 20 * 5 and trained.metrics["game"] == "own_games:TenTimes-v0"
    assert sum(finals) == (0 if bootstrap else 10)


def test_a_network_has_the_inputs_that_the_wrapped_game_gives(task):
    made = task(game="own_games:Clocked-v0")
    assert family.initialise(made, 1).tensors["hidden.0.weight"].shape == (16, 4)
    assert family.architecture(made) == family.architecture(task()) == "[4, [16, 12]]"


@pytest.mark.parametrize("what", ["reward", "observation"])
@pytest.mark.parametrize("learner", ["numpy", "torch"])
def test_a_game_s_number_that_is_not_finite_is_a_recorded_result(task, run, what, learner):
    """With its step: all five games begin together and break at their step 7."""
    made = task(game=f"own_games:Bad{what.title()}-v0", learner=learner)
    with np.errstate(all="ignore"):
        trained = ensemble.train(made, [run(made, rewind_points=("epoch1",))])[0]
    assert (trained.status, trained.reason) == ("diverged", f"{what} not finite at step {7 * 5}")
    assert trained.curve == [] and trained.metrics["games"] == 0 and set(trained.rewound) == {"epoch1"}
    assert "episodic_reward" not in trained.metrics and "training_reward" not in trained.metrics


def test_a_run_whose_reward_is_not_finite_is_written_as_any_other(task, tmp_path):
    made = task(game="own_games:BadReward-v0")
    with np.errstate(all="ignore"):
        for stage in random_tickets(made, tmp_path / "bad", [(1, 2)]):
            stages.run(stage)
    found = json.loads((tmp_path / "bad/seed1/level2/metrics.json").read_text())
    assert (found["status"], found["reason"]) == ("diverged", "reward not finite at step 35")
    assert found["value"] == found["chance"] == 20.0


def test_outputs_that_are_not_finite_are_a_recorded_result(task, run):
    made = task(optimizer={"lr": 1.0e30})
    good, bad = run(made, level=5), run(made, seed=2, rewind_points=("epoch1",))
    with np.errstate(all="ignore"):
        trained = ensemble.train(made, [good, bad])[1]
    assert trained.status == "diverged" and trained.reason.startswith("outputs not finite at step")
    assert "episodic_reward" not in trained.metrics  # the engine counts it at chance
    assert set(trained.rewound) == {"epoch1"}


def test_a_policy_that_is_not_finite_is_a_recorded_result_too(task, run):
    """The value alone would not tell; an action would still be chosen."""
    made = task()
    asked = run(made)
    start = asked.start.with_tensors(asked.start.tensors | {"policy.bias": np.full(2, np.nan, np.float32)})
    with np.errstate(all="ignore"):
        trained = ensemble.train(made, [dataclasses.replace(asked, start=start)])[0]
    assert trained.status == "diverged" and trained.metrics["updates"] == 1


def test_a_policy_no_observation_reaches_is_a_recorded_result(task, run):
    made = task()
    blind, sees = run(made, level=2), run(made, seed=2)
    mask = {**blind.mask, "hidden.1.weight": np.zeros((12, 16), bool)}
    start = blind.start.with_tensors(masks.apply(mask, blind.start.tensors))
    first, second = ensemble.train(made, [dataclasses.replace(blind, mask=mask, start=start), sees])
    assert (first.status, first.reason) == ("collapsed", "no weights left in hidden.1.weight")
    assert "episodic_reward" not in first.metrics and first.metrics["updates"] == 0
    assert bits(second) == bits(ensemble.train(made, [sees])[0])


def test_chance_is_the_reward_of_random_play(task):
    assert family.chance(task(), None) == pytest.approx(22, abs=4)
    assert family.chance(task(game="MountainCar-v0"), None) == -200
    assert family.chance(task(game="LunarLander-v2"), None) == pytest.approx(-180, abs=50)


def test_the_networks_have_the_paper_s_parameter_counts(tasks):
    counts = {"cartpole-a2c": 34_051, "acrobot-a2c": 134_404, "lunarlander-a2c": 135_173}
    for name, count in counts.items():
        network = family.initialise(tasks[name], 1)
        assert network.parameters == count
        assert network.output == ("policy.weight", "policy.bias", "value.weight", "value.bias")
        for tensor, array in network.tensors.items():
            bound = network.tensors[tensor.replace("bias", "weight")].shape[1] ** -0.5
            assert 0.9 * bound < np.abs(array).max() <= bound or array.size < 20


def test_it_learns_to_hold_the_pole(task, run):
    settings = {
        "hidden": [64, 64],
        "length": "epoch8",
        "episodes": 60,
        "environments": 16,
        "reward_episodes": 60,
    }
    made = task(**settings)
    trained = ensemble.train(made, [run(made, seed=s) for s in (1, 2)])
    trained = [one.metrics["episodic_reward"] for one in trained]
    assert min(trained) > 100, trained
    unscaled = task(**settings, reward_scale=1.0)
    assert ensemble.train(unscaled, [run(unscaled)])[0].metrics["episodic_reward"] < 60


def test_numbers_change_only_with_the_results_version(task, run):
    """If this fails, a change of code changed results: raise RESULTS_VERSION and set the new numbers."""
    from lottery import RESULTS_VERSION

    made = task(length="epoch8")
    trained = ensemble.train(made, [run(made, level=2)])[0]
    norm = float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in trained.network.tensors.values())))
    found = (RESULTS_VERSION, norm, trained.metrics["training_reward"])
    assert found == (2, pytest.approx(2.7896, rel=1e-3), pytest.approx(24.396, rel=0.02))


# --- config

REFUSED = [
    ({"episodes": 0}, "episodes: found 0, allowed: a whole number from 1"),
    ({"length": "epoch0"}, "length: found 'epoch0', allowed: epochN with N from 1"),
    ({"length": "step100"}, "length: found 'step100', allowed: epochN with N from 1"),
    ({"reward_episodes": 25}, "reward_episodes: 25 is more than the 24 games played"),
    ({"reward_episodes": 0}, "reward_episodes: found 0, allowed: a whole number from 1"),
    ({"n_step": 5}, "n_step: found 5, allowed: at most rollout, 4"),
    ({"hidden": []}, "hidden: found [], allowed: a list of at least one"),
    ({"rewind_points": ["step5"]}, "'step5' is not a point in this training; allowed: init, epochN"),
    ({"rewind_points": ["epoch5"]}, "rewind point epoch5 is after the end of training, epoch4"),
    ({"entropy": 1}, "unknown key 'entropy'"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_task_is_refused_in_one_line(task, changes, message):
    with pytest.raises(InputError) as error:
        task(**changes)
    assert "tiny: " in str(error.value) and message in str(error.value) and "\n" not in str(error.value)


def test_a_study_of_a_game_that_cannot_be_played_is_refused(tmp_path):
    for name in ("schemas", "recipes", "resources.yaml"):
        (tmp_path / name).symlink_to(REPO / "config" / name)
    (tmp_path / "tasks").mkdir()
    entries = {"pendulum": TINY | {"game": "Pendulum-v1"}, "good": TINY}
    (tmp_path / "tasks/t.yaml").write_text(yaml.safe_dump(entries))
    study = {"study": "s", "seeds": [1], "levels": 1, "figures": []}

    def read(name):
        return read_study(study | {"curves": [{"name": "c", "task": name, "recipe": "imp-biases"}]}, tmp_path)

    with pytest.raises(InputError, match="study s: task pendulum: game: Pendulum-v1 has actions Box"):
        read("pendulum")
    assert read("good").curves  # a game that no curve plays is not looked at


def test_figures_4_and_6_of_playing_the_lottery_are_planned(tasks):
    """729 trainings with shared runs; the kept-mask control adds 180."""
    from lottery.schemas import read_yaml

    study = read_study(read_yaml(REPO / "config/studies/classic-control.yaml"), REPO / "config")
    kept = [name for name in study.curves if name.endswith("kept-fresh")]
    assert len(study.runs(set(study.curves) - set(kept))) == 729
    assert len(study.runs(study.curves)) == 729 + 180
    assert {"4a-cartpole", "4b-acrobot", "4c-lunarlander"} < set(study.figures)
    assert {"6a-cartpole", "6b-lunarlander", "6c-acrobot"} < set(study.figures)
    assert games.find(tasks["lunarlander-a2c"]["game"]).played == "LunarLander-v3"
