"""Language models, held against a plain torch LSTM; their masks; and tickets of texts, by Snakemake."""

import copy
import math
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import DATASETS, REPO, Workspace
from lottery import masks, tickets, weights
from lottery.config import read_tasks
from lottery.data import text
from lottery.errors import InputError
from lottery.planning import trainings
from lottery.pruning import Pruning, prunable_tensors
from lottery.rewinding import Rewind
from lottery.runs import Run
from lottery.schemas import read_yaml
from lottery.study import read_study
from lottery.tasks import language, supervised
from lottery.tasks.language import texts
from lottery.tasks.language.model import LanguageModel
from lottery.training.descent import make_optimizer
from lottery.training.enforcement import masked_step
from lottery.training.modules import load_network
from torch import nn
from torch.func import functional_call

ALL = ("weight", "bias", "embedding")
SMALL = {
    "family": "language",
    "dataset": "grammar-4000",
    "embedding": 12,
    "hidden": 8,
    "dropout": {"layers": 0.0},
    "batch_size": 10,
    "bptt": 16,
    "optimizer": {"name": "sgd", "lr": 2.0},
    "length": "step4",
    "evaluate_every": "step1",
    "rewind_points": [],
}


@pytest.fixture
def task(tmp_path):
    """Make a task of the small entry with some keys changed: task(length="epoch1")."""

    def make(**changes):
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        entry = copy.deepcopy(SMALL) | changes
        (folder / "small.yaml").write_text(yaml.safe_dump({"small": entry}))
        return read_tasks(folder, DATASETS)["small"]

    return make


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "grammar-4000.safetensors"
    text.prepare(DATASETS["grammar-4000"], Path("unused"), path)
    return path


@pytest.fixture
def run(tmp_path, data):
    """run(task): its dense network as a run."""

    def make(task, **changes):
        values = {"start": language.initialise(task, 1), "mask": None, "seed": 1, "rewind": Rewind()}
        values |= {"checkpoint": tmp_path / "checkpoint.safetensors", "name": "test", "data": data}
        return Run(**values | changes)

    return make


class Plain(nn.Module):
    """Embedding, one LSTM of several layers, decoder: as torch's users write it."""

    def __init__(self, network):
        super().__init__()
        tensors = {name: torch.from_numpy(array.copy()) for name, array in network.tensors.items()}
        vocabulary, width = tensors["embedding.weight"].shape
        layers = sum(name.endswith("weight_hh_l0") for name in tensors)
        hidden = tensors["lstm.0.weight_hh_l0"].shape[1]
        self.embedding, self.lstm = nn.Embedding(vocabulary, width), nn.LSTM(width, hidden, layers)
        self.decoder = nn.Linear(hidden, vocabulary)
        self.load_state_dict({plainly(name): tensor for name, tensor in tensors.items()})

    def forward(self, tokens, before=None):
        x, after = self.lstm(self.embedding(tokens), before)
        return self.decoder(x), after


def plainly(name):
    """`lstm.1.weight_ih_l0` as a parameter of one LSTM of several layers."""
    return f"lstm.{name[7:-1]}{name[5]}" if name.startswith("lstm.") else name


def losses(logits, target, **more):
    return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), **more)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_warns_of_nothing_and_leaves_torch_as_it_was(task, run, precision):
    before = torch.backends.mkldnn.allow_tf32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked = task(precision=precision)
        language.train(asked, [run(asked)])
    assert torch.backends.mkldnn.allow_tf32 == before and torch.backends.mkldnn.enabled


# --- the network, and what it is measured by


def test_the_paper_s_network_has_fifty_million_parameters(tasks):
    """Yu et al. 2020, section 4.1: 650 wide, two layers, of the 33,278 words of WikiText-2."""
    counts = {}
    for tied in (False, True):
        with torch.device("meta"):
            model = LanguageModel({**tasks["wikitext-2-lstm"], "tied": tied})
        counts[tied] = sum(parameter.numel() for parameter in model.parameters())
    assert counts == {False: 50_065_078, True: 50_065_078 - 33_278 * 650}


@pytest.mark.parametrize(
    ("name", "counted"), [("lstm-wikitext2", 243), ("lstm-small", 261), ("lstm-texts", 180), ("grammar", 108)]
)
def test_a_study_plans_its_trainings(name, counted):
    """Yu et al. 2020, figure 1: 20 levels of three lineages, which share a dense run, and of random tickets,
    three seeds."""
    study = read_study(read_yaml(REPO / f"config/studies/{name}.yaml"), REPO / "config")
    assert len(trainings(study)) == counted


def test_its_initial_values(task):
    network = language.initialise(task(embedding_scale=0.5), 1)
    drawn = network.tensors["embedding.weight"]
    assert 0.49 < np.abs(drawn).max() <= 0.5 and abs(drawn.mean()) < 0.02
    again = language.initialise(task(), 1).tensors["embedding.weight"]
    np.testing.assert_allclose(again, drawn / 5, rtol=1e-6)


@pytest.mark.parametrize("place", ["embedding", "layers", "output"])
def test_dropout_is_where_it_is_said_and_in_training_only(task, place):
    model = LanguageModel(task(dropout={"layers": 0.0, place: 0.5}))
    tokens, seen = torch.arange(40).view(8, 5), {}
    hooks = [("layers", model.lstm[1]), ("output", model.decoder), ("embedding", model.lstm[0])]
    for name, module in hooks:
        module.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    model(tokens)
    assert [name for name, _ in hooks if (seen[name] == 0).any()] == [place]
    assert 0.3 < (seen[place] == 0).float().mean() < 0.7
    model.eval()
    model(tokens)
    assert not (seen[place] == 0).any()


@pytest.mark.parametrize("layers", [1, 3])
def test_log_perplexity_is_that_of_a_plain_lstm_over_the_whole_text(task, data, layers):
    """Each column is read in one pass, in double precision; and cut up, without the state, it is another."""
    made = task(layers=layers, embedding_scale=3)
    network = language.initialise(made, 1)
    model, asked = Plain(network).double(), weights.load_arrays(data)[0]["test"].astype(np.int64)
    length = math.ceil((len(asked) - 1) / texts.COLUMNS)
    assert length > 3 * texts.WINDOW

    def over(most):
        """Sum over columns, their state lost after `most` tokens."""
        total = 0.0
        for begin in range(0, len(asked) - 1, length):
            column = torch.from_numpy(asked[begin : begin + length + 1])
            for top in range(0, len(column) - 1, most):
                piece = column[top : top + most + 1]
                total += float(losses(model(piece[:-1, None])[0], piece[1:, None], reduction="sum"))
        return total / (len(asked) - 1)

    with torch.no_grad():
        whole, cut = over(length), over(texts.WINDOW)
    found = language.evaluate(made, network, data, "test")
    assert found["log_perplexity"] == found["loss"] == pytest.approx(whole, abs=2e-6)
    assert abs(cut - whole) > 2e-5


# --- training


def reference(start, windows, rates, state):
    """Losses of SGD's steps and the weights after them. The hidden state goes on from step to step as
    `carried`, is `lost`, or is `whole`: its gradient is followed to the beginning."""
    model = Plain(start)
    begun = dict(model.named_parameters())
    moved, before, found = dict.fromkeys(begun, 0.0), None, []
    for (tokens, target), rate in zip(windows, rates, strict=True):
        now = {name: begun[name] + moved[name] for name in begun}
        logits, after = functional_call(model, now, (tokens, before))
        loss = losses(logits, target)
        gradients = torch.autograd.grad(loss, list(begun.values()), retain_graph=True)
        moved = {name: moved[name] - rate * g for name, g in zip(begun, gradients, strict=True)}
        before = {"carried": tuple(part.detach() for part in after), "lost": None, "whole": after}[state]
        found.append(float(loss))
    return found, {name: (begun[name] + moved[name]).detach().numpy() for name in begun}


@pytest.mark.parametrize("final", [1, 0, 0.25])
def test_the_hidden_state_crosses_steps_its_gradient_does_not_and_the_rate_falls(task, run, data, final):
    made = task(schedule={"final": final}, embedding_scale=3)
    asked = run(made)
    trained = language.train(made, [asked])[0]
    read = texts.load(data, made, torch.device("cpu"))
    windows = list(read.training(asked.noise, 0, 0))[:4]
    rates = [2 * (1 - (1 - final) * step / 4) for step in range(4)]
    far = {}
    for state in ("carried", "lost", "whole"):
        expected, after = reference(asked.start, windows, rates, state)
        found = [row["train_log_perplexity"] for row in trained.curve[1:]]
        moved = [np.abs(after[plainly(name)] - a).max() for name, a in trained.network.tensors.items()]
        far[state] = (np.abs(np.subtract(found, expected)).max(), max(moved))
    assert max(far["carried"]) < 1e-5
    assert far["lost"][0] > 1e-3  # the loss depends on the window before
    assert far["whole"][1] > 1e-4  # the gradient does not


def test_an_epoch_begins_with_an_empty_state(task, run, data):
    made = task(length="epoch2", evaluate_every="epoch1", bptt=199)
    asked = run(made)
    trained = language.train(made, [asked])[0]
    assert trained.metrics["steps"] == 4
    read = texts.load(data, made, torch.device("cpu"))
    windows = [window for epoch in (0, 1) for window in read.training(asked.noise, epoch, 0)]
    after = {}
    for state in ("carried", "lost"):
        begun, network = asked.start, None
        for half in (windows[:2], windows[2:]):
            _, network = reference(begun, half, [2.0, 2.0], state)
            begun = begun.with_tensors({name: network[plainly(name)] for name in begun.tensors})
        after[state] = max(np.abs(begun.tensors[n] - a).max() for n, a in trained.network.tensors.items())
    assert after["carried"] < 1e-5 < after["lost"]


def test_a_sum_over_time_is_so_many_times_the_mean(task, run):
    """16 steps in time, a power of two: SGD gives the same bits at a 16th of the rate; Adam tells by eps."""
    bits = {}
    for reduction, rate in (("mean", 2.0), ("sum-over-time", 2.0 / 16), ("sum-over-time", 2.0)):
        made = task(reduction=reduction, optimizer={"name": "sgd", "lr": rate, "momentum": 0.5})
        trained = language.train(made, [run(made)])[0]
        bits[reduction, rate] = [array.tobytes() for array in trained.network.tensors.values()]
        said = [row["train_log_perplexity"] for row in trained.curve[1:]]
        assert max(said) < 6  # a mean, whatever is minimised
    assert bits["mean", 2.0] == bits["sum-over-time", 2.0 / 16] != bits["sum-over-time", 2.0]
    for reduction, eps in (("mean", 1e-3 / 16), ("sum-over-time", 1e-3), ("mean", 1e-3)):
        made = task(reduction=reduction, optimizer={"name": "adam", "lr": 0.01, "eps": eps})
        bits[reduction] = language.train(made, [run(made)])[0].network.tensors["decoder.weight"]
        if reduction == "sum-over-time":
            np.testing.assert_allclose(bits["mean"], bits["sum-over-time"], rtol=1e-5, atol=1e-7)
    assert np.abs(bits["mean"] - bits["sum-over-time"]).max() > 1e-3


# --- masks


OPTIMIZERS = {
    "sgd": {"name": "sgd", "lr": 0.5, "momentum": 0.9, "weight_decay": 0.01},
    "adam": {"name": "adam", "lr": 0.01, "weight_decay": 0.01},
}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_masks_on_packed_weights_stay_in_place_and_pruned_ones_at_zero(task, data, optimizer, tied):
    made = task(optimizer=OPTIMIZERS[optimizer], tied=tied, hidden=12)
    start = language.initialise(made, 1)
    mask, _ = tickets.random_ticket(Pruning(rate=0.7, roles=ALL), 1, start, np.random.default_rng(0))
    assert mask.keys() == start.tensors.keys()
    model = LanguageModel(made)
    load_network(model, start)
    descent = make_optimizer(model, made["optimizer"])
    update = masked_step(model, mask, descent, 0.25)
    parameters = dict(model.named_parameters())
    places = {name: parameter.data_ptr() for name, parameter in parameters.items()}
    for tokens, target in list(texts.load(data, made, torch.device("cpu")).training(1, 0, 0))[:5]:
        losses(model(tokens)[0], target).backward()
        update()
        for name, parameter in parameters.items():
            assert parameter.data_ptr() == places[name]
            assert not parameter.detach()[~torch.from_numpy(mask[name])].any(), name
            assert (parameter.detach().numpy() != start.tensors[name])[mask[name]].mean() > 0.5, name
    for layer in model.lstm:
        packed = [getattr(layer, name).data_ptr() for name in layer._flat_weights_names]
        assert packed == [weight.data_ptr() for weight in layer._flat_weights]


def test_a_tied_matrix_is_pruned_once_and_is_zero_in_both_places(task, run):
    made = task(tied=True, hidden=12, layers=1)
    start = language.initialise(made, 1)
    assert "decoder.weight" not in start.tensors and start.output == ("decoder.bias",)
    assert start.parameters == 231 * 12 + 231 + 4 * (12 * 12 * 2 + 12 * 2)
    mask, sparse = tickets.random_ticket(Pruning(rate=0.5, roles=ALL), 1, start, np.random.default_rng(0))
    assert masks.prunable(mask) == start.parameters
    trained = language.train(made, [run(made, start=sparse, mask=mask)])[0]
    model = language.module(made)
    load_network(model, trained.network)
    assert model.decoder.weight is model.embedding.weight
    pruned = ~torch.from_numpy(mask["embedding.weight"])
    assert pruned.any() and not model.decoder.weight.detach()[pruned].any()


RECURRENT = {
    f"lstm.{layer}.{kind}_{to}_l0" for layer in (0, 1) for kind in ("weight", "bias") for to in ("ih", "hh")
}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({}, {name for name in RECURRENT if "weight" in name} | {"decoder.weight"}),
        ({"output": False}, {name for name in RECURRENT if "weight" in name}),
        ({"roles": ALL}, RECURRENT | {"embedding.weight", "decoder.weight", "decoder.bias"}),
        ({"roles": ALL, "output": False}, RECURRENT | {"embedding.weight"}),
        ({"roles": ("weight", "bias"), "output": False}, RECURRENT),
        ({"roles": ("embedding",)}, {"embedding.weight"}),
    ],
)
def test_a_recipe_says_whether_embedding_and_decoder_are_pruned(task, recipe, expected):
    assert set(prunable_tensors(language.initialise(task(), 1), Pruning(**recipe))) == expected


# --- tickets, from the command line

FAR = {"rate": 0.7, "roles": list(ALL), "rewind": {"weights": "step20"}}
LEARNS = SMALL | {
    "dataset": "cut-a",
    "embedding": 32,
    "hidden": 32,
    "layers": 1,
    "bptt": 25,
    "optimizer": {"name": "adam", "lr": 0.01},
    "schedule": {"final": 0},
    "clip_norm": 1.0,
    "length": "epoch5",
    "evaluate_every": "epoch5",
    "rewind_points": ["step20"],
}
CARRIED = {"task": "on-b", "source": "on-a", "recipe": "far"}
CURVES = [
    {"name": "winning", "task": "on-a", "recipe": "far"},
    {"name": "random", "task": "on-a", "recipe": "far", "ticket": "random"},
    {"name": "kept", **CARRIED, "ticket": "kept-output"},
    {"name": "fresh", **CARRIED},
    {"name": "random-b", "task": "on-b", "recipe": "far", "ticket": "random"},
]
BELOW = {"source": "Yu et al. 2020, figure 1", "expect": "better"}
CLAIMS = [
    {"name": "own", "statement": "Winning below random.", "curve": "winning", "against": "random", **BELOW},
    {"name": "carried", "statement": "In b too.", "curve": "kept", "against": "random-b", **BELOW},
]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A workspace in which tickets of one half of the grammar were trained, and carried to the other."""
    workspace = Workspace(tmp_path_factory.mktemp("texts") / "workspace")
    cut = {f"cut-{half}": {"of": "grammar", "half": half, "first": 12_000} for half in "ab"}
    for name, entries in (("datasets", cut), ("recipes", {"far": FAR})):
        (workspace.path / f"config/{name}/mine.yaml").write_text(yaml.safe_dump(entries))
    workspace.tasks = {"on-a": LEARNS, "on-b": LEARNS | {"dataset": "cut-b"}}
    workspace.study = {"study": "texts", "seeds": [1, 2, 3], "levels": 2, "evaluate": [2], "figures": []}
    workspace.study |= {"curves": CURVES, "claims": CLAIMS}
    workspace.write()
    workspace.snakemake()
    return workspace


def test_winning_tickets_are_below_random_ones_in_their_text_and_in_another(done):
    claims = pd.read_csv(done.path / "results/tables/texts/claims.csv")
    whole = claims[claims["of"] == "whole"].set_index("claim")
    assert whole["verdict"].to_dict() == {"own": "shown", "carried": "shown"}
    assert (whole["expect"] == "lower").all() and (whole["difference"] < -0.3).all()
    runs = pd.read_csv(done.path / "results/tables/texts/runs.csv")
    assert (runs["status"] == "ok").all() and set(runs["better"]) == {"lower"}
    assert (runs[runs["level"] == 0]["value"] < runs["chance"].min() - 1).all()


def test_a_ticket_takes_its_decoder_along_where_it_is_said(done):
    """Both halves have one test text, so that tickets that start alike are measured alike before training."""
    results, begun, left = done.path / "results", {}, {}
    for name, run in (
        ("own", "lineage/on-a/far/seed1/level02"),
        ("kept", "ticket/on-b/on-a/far/kept-output/seed1/level02"),
        ("fresh", "ticket/on-b/on-a/far/winning/seed1/level02"),
    ):
        first = pd.read_csv(results / run / "curve.csv").iloc[0]
        begun[name] = (first["step"], first["test_log_perplexity"])
        left[name] = read_yaml(results / run / "metrics.json")["layers"]
    assert begun["own"] == begun["kept"] != begun["fresh"] and begun["own"][0] == 0
    assert left["own"] == left["kept"] == left["fresh"]  # a fresh decoder is pruned at random, by as much
    runs = pd.read_csv(results / "tables/texts/runs.csv").set_index("curve")["value"]
    assert (runs["kept"] != runs["winning"].iloc[-1]).all()


# --- bad input


def plan(folder, tasks, curves=(), datasets=None):
    """The study of some tasks, as Snakemake reads it before anything starts."""
    for name in ("tasks", "datasets", "studies"):
        (folder / name).mkdir()
    for name in ("schemas", "recipes", "resources.yaml"):
        (folder / name).symlink_to(REPO / "config" / name)
    (folder / "tasks/mine.yaml").write_text(yaml.safe_dump(copy.deepcopy(tasks)))
    (folder / "datasets/mine.yaml").write_text(yaml.safe_dump(datasets or {}))
    curves = list(curves) or [{"name": "c", "task": next(iter(tasks)), "recipe": "imp-all-init"}]
    return read_study({"study": "mine", "seeds": [1], "levels": 1, "curves": curves}, folder)


MINE = {"dataset": "grammar", "length": "epoch1"}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"dataset": "digits"}, "dataset: found digits, a set of images; allowed: sets of text"),
        (
            {**supervised.SMALLEST["sgd"], "dataset": "grammar"},
            "dataset: found grammar, a set of text; allowed: sets of images",
        ),
        ({"dataset": "grammer"}, "dataset 'grammer' is unknown; did you mean 'grammar'"),
        ({"tied": True}, "tied: found an embedding of 12 and a hidden layer of 8, allowed: two of one width"),
        (
            {"batch_size": 1000, "bptt": 55},
            "batch_size, bptt: found 1000 columns of 55 tokens, for which a training text needs 56000, "
            "found 55310",
        ),
        ({"layers": 0}, "layers: found 0, allowed: a whole number from 1"),
    ],
)
def test_a_task_that_cannot_work_is_one_line(tmp_path, task, message):
    with pytest.raises(InputError) as raised:
        plan(tmp_path, {"mine": {**SMALL, **MINE, **task} if "family" not in task else task})
    assert f"mine.yaml: mine: {message}" in str(raised.value)


def test_the_shortest_text_is_one_step(tmp_path):
    study = plan(tmp_path, {"mine": {**SMALL, **MINE, "batch_size": 1000, "bptt": 54}})
    assert language.steps(study.tasks["mine"], "epoch1") == 1


@pytest.mark.parametrize("ticket", ["winning", "kept-output"])
def test_texts_of_unlike_vocabularies_share_no_tickets(tmp_path, ticket):
    few = {"few": {"of": "grammar", "vocabulary": 100}, "half": {"of": "grammar", "half": "a"}}
    tasks = {name: {**SMALL, **MINE, "dataset": name} for name in ("grammar", "few", "half")}
    curve = {"name": "c", "task": "grammar", "source": "half", "recipe": "imp-all-init", "ticket": ticket}
    (tmp_path / "alike").mkdir()
    assert plan(tmp_path / "alike", tasks, [curve], few).curves["c"].source == "half"
    (tmp_path / "unlike").mkdir()
    with pytest.raises(InputError) as raised:
        plan(tmp_path / "unlike", tasks, [{**curve, "source": "few"}], few)
    assert "few and grammar differ beyond the output layer: found " in str(raised.value)
    assert '"vocabulary": "the 100 most frequent of grammar"} and {' in str(raised.value)
    assert '"vocabulary": "the 231 most frequent of grammar"}' in str(raised.value)


def test_a_missing_split_and_a_wrong_count_are_said_before_anything_is_trained(workspace):
    entry = {"mine": {"of": "text-files", "train": 9, "vocabulary": 3}}
    (workspace.path / "config/datasets/mine.yaml").write_text(yaml.safe_dump(entry))
    workspace.tasks["tiny"] = {**SMALL, "dataset": "mine", "batch_size": 1, "bptt": 2, "length": "step1"}
    workspace.study |= {"curves": [{"name": "c", "task": "tiny", "recipe": "imp-all-init"}], "figures": []}
    workspace.write()
    folder = workspace.path / "data/mine"
    folder.mkdir(parents=True)
    for name in ("train", "valid"):
        (folder / f"{name}.txt").write_text("the cat sat\nthe dog sat\n")
    said = workspace.snakemake("-n", env={"LOTTERY_DATA": "data"})
    assert "data set mine: data/mine/test.txt: is not there" in said.stderr
    shutil.copy(folder / "valid.txt", folder / "test.txt")
    assert workspace.snakemake(check=False, env={"LOTTERY_DATA": "data"}).returncode == 1
    said = (workspace.path / "results/logs/data/mine.log").read_text()
    assert said == "error: data set mine: train: found 9, the training text has 8 tokens\n"
    assert not list((workspace.path / "results").rglob("metrics.json"))
