"""Bad input gets one line that names the key, what was found and what is allowed, before anything runs."""

import copy
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from conftest import DATASETS, REPO, STUDY, TINY
from lottery import plugins, runs, study
from lottery.config import absent, from_command_line, read_datasets, read_tasks
from lottery.datasets import imagenet
from lottery.errors import InputError
from lottery.schemas import read_yaml
from lottery.study import Curve, ladder, ladders, read_study
from lottery.tasks import supervised


@pytest.fixture
def refused(tmp_path):
    """The message with which a config is refused: refused(study, tasks, recipes)."""
    for name in ("tasks", "recipes"):
        (tmp_path / name).mkdir()
    for name in ("schemas", "resources.yaml", "datasets", "studies"):
        (tmp_path / name).symlink_to(REPO / "config" / name)

    def read(changes=None, tasks=None, recipes=None):
        tasks = {"tiny": TINY, "tiny-b": TINY | {"dataset": "digits-b"}} | (tasks or {})
        recipes = {"imp": {}, "no-output": {"output": False}} | (recipes or {})
        (tmp_path / "tasks/t.yaml").write_text(yaml.safe_dump(tasks))
        (tmp_path / "recipes/r.yaml").write_text(yaml.safe_dump(recipes))
        with pytest.raises(InputError) as error:
            read_study(copy.deepcopy(STUDY) | (changes or {}), tmp_path)
        assert "\n" not in str(error.value)
        return str(error.value)

    return read


def curve(**changes):
    return {"curves": [{"name": "winning", "task": "tiny", "recipe": "imp"} | changes], "figures": []}


STUDIES = [
    ({"sedes": [1]}, "study tiny: unknown key 'sedes'; did you mean 'seeds'?"),
    ({"levels": 99}, "study tiny: levels: found 99, allowed: a whole number from 0 to 98"),
    ({"levels": -1}, "study tiny: levels: found -1, allowed"),
    ({"levels": "20"}, "study tiny: levels: found '20', allowed: a whole number"),
    ({"seeds": []}, "study tiny: seeds: found [], allowed: a list of at least one"),
    ({"evaluate": [1, 3]}, "evaluate: found level 3, allowed: up to the study's levels, 2"),
    (curve(task="tinny"), "curve winning: task 'tinny' is unknown; did you mean 'tiny'?"),
    (curve(recipe="xyz"), "curve winning: recipe 'xyz' is unknown; allowed: imp, no-output"),
    (curve(ticket="loosing"), "curves.0.ticket: found 'loosing', allowed: winning, random, fresh-output"),
    (curve(rewind=1), "unknown key 'curves.0.rewind'; allowed: name, label, task"),
    ({"curves": STUDY["curves"] * 2}, "curves: the name 'winning' is there twice"),
    ({"figures": STUDY["figures"] * 2}, "figures: the name 'main' is there twice"),
    (
        {"figures": [{"name": "f", "kind": "metric", "curves": ["wining"]}]},
        "figure f: curve 'wining' is unknown; did you mean 'winning'?",
    ),
    (
        {"figures": [{"name": "f", "kind": "learning", "curves": ["winning"], "levels": [7]}]},
        "figure f: levels: found level 7, allowed: up to the study's levels, 2",
    ),
    (
        curve(ticket="kept-output"),
        "ticket kept-output is the winning ticket itself where source",
    ),
    (
        curve(ticket="fresh-output", source="tiny-b", recipe="no-output"),
        "ticket fresh-output is the winning ticket itself where source and target are two tasks",
    ),
    (curve(copy=-1), "curves.0.copy: found -1, allowed"),
    (
        {"figures": [{"name": "f", "kind": "matrix", "curves": ["random"], "levels": [1]}]},
        "figure f: needs a curve of tiny's own tickets, for the gap to them",
    ),
    (
        curve(ticket="dense-rewound")
        | {"figures": [{"name": "f", "kind": "matrix", "curves": ["winning"], "levels": [1]}]},
        "figure f: curve winning is dense-rewound, which is of level 0 alone",
    ),
    (
        {
            "figures": [
                {
                    "name": "f",
                    "kind": "matrix",
                    "curves": ["winning", "random"],
                    "levels": [1],
                    "labels": {"random": "winning"},
                }
            ]
        },
        "figure f: 2 curves on tiny have the label 'winning', allowed: one a cell",
    ),
    (
        {"figures": [{"name": "f", "kind": "learning", "curves": ["winning"]}]},
        "figure f: a figure of kind learning needs levels",
    ),
]


def figure(kind, *names, **changes):
    return {"figures": [{"name": "f", "kind": kind, "curves": list(names or ("winning",))} | changes]}


IMPOSSIBLE = [
    (figure("learning", levels=[]), "figure f: levels: found [], allowed: at least one level"),
    (figure("matrix", levels=[]), "figure f: levels: found [], allowed: at least one level"),
    (figure("matrix", levels=[0, 1]), "figure f: levels: found 0, at which no tickets are"),
    (figure("learning", "random", levels=[0, 1]), "levels: found 0, at which none of its curves has a run"),
    (figure("layers", "winning", "random"), "figure f: curve random has no masks of its own"),
    (figure("movement", "random"), "figure f: curve random has no masks of its own, allowed for a figure of"),
    (curve() | figure("layers") | {"levels": 0}, "figure f: a figure of kind layers needs a level from 1"),
    (curve() | figure("difference"), "figure f: no curve of the study has the random tickets"),
    (figure("difference", "random"), "figure f: no curve of the study has the random tickets"),
    (
        figure("metric", value="test_acuracy"),
        "figure f: value: found 'test_acuracy', allowed for curve winning",
    ),
    (
        figure("metric", value="test_accuracy"),
        "value: found 'test_accuracy', allowed for curve winning: value,",
    ),
    (
        figure("metric", value="status"),
        "value: found 'status', allowed for curve winning: value, gap, test_loss",
    ),
    (figure("metric", "random", value="moved_kept"), "value: found 'moved_kept', allowed for curve random"),
    (figure("difference", value="gap"), "f: value: found 'gap', which kind difference does not read"),
    (figure("learning", levels=[1], y=[0, 1]), "f: y: found [0, 1], which kind learning does not read"),
    (figure("layers", x="pruned"), "figure f: x: found 'pruned', which kind layers does not read"),
    (figure("metric", levels=[1]), "figure f: levels: found [1], which kind metric does not read"),
    (figure("metric", y=[1, 0.8]), "figure f: y: found [1, 0.8], allowed: a lower end and an upper one"),
    ({"levels": 0, "figures": []}, "curve random: has no level, since levels has none from 1"),
    ({"evaluate": [], "figures": []}, "curve random: has no level, since evaluate has none from 1"),
]
STUDIES += IMPOSSIBLE


@pytest.mark.parametrize(("changes", "message"), STUDIES, ids=[message for _, message in STUDIES])
def test_a_study_is_refused(refused, changes, message):
    assert message in refused(changes)


RECIPES = [
    ({"rate": 1.0}, "bad: rate: found 1.0, allowed: a number above 0 and below 1"),
    ({"rate": 0}, "bad: rate: found 0, allowed"),
    (
        {"rate": "2e-1"},
        "bad: rate: found '2e-1', allowed: a number above 0 and below 1 (YAML reads 1e-3",
    ),
    ({"scope": "local"}, "bad: scope: found 'local', allowed: global, layerwise"),
    ({"criterion": "magnitud"}, "bad: criterion: found 'magnitud', allowed: magnitude, snip"),
    (
        {"criterion": "snip", "rewind": {"weights": "init"}},
        "bad: iterative: found true with criterion snip, which scores what a ticket starts from; allowed:",
    ),
    (
        {"criterion": "snip", "iterative": False},
        "bad: rewind.weights: found nothing with criterion snip, which scores what a ticket starts from; "
        "allowed: init, or a rewind point",
    ),
    (
        {"criterion": "snip", "iterative": False, "rewind": {"weights": "final"}},
        "bad: rewind.weights: found final with criterion snip",
    ),
    ({"rates": {"output": 0.1}}, "bad: rates: allowed with scope layerwise only, found scope global"),
    ({"roles": ["norm"]}, "bad: roles.0: found 'norm', allowed: weight, bias, embedding"),
    ({"exclude": ["*"]}, "bad: exclude: found '*', which leaves nothing to prune"),
    ({"exclude": [""]}, "bad: exclude.0: found '', allowed: letters, digits"),
    ({"exclude": ["fc1 .weight"]}, "bad: exclude.0: found 'fc1 .weight', allowed: letters, digits"),
    ({"scope": "layerwise", "rates": {"{x}": 0.1}}, "bad: rates: found '{x}', allowed: letters, digits"),
    ({"rewind": {"weight": "init"}}, "bad: unknown key 'rewind.weight'; did you mean 'weights'?"),
    ({"rewind": {"weights": "ep1"}}, "bad: rewind.weights: 'ep1' is not a point in training; allowed: init"),
    ({"rewind": {"weights": "final", "optimizer": "rewound"}}, "bad: rewind.optimizer: found rewound with"),
]


@pytest.mark.parametrize(("entry", "message"), RECIPES, ids=[message for _, message in RECIPES])
def test_a_recipe_is_refused(refused, entry, message):
    assert message in refused(recipes={"bad": entry})


TASKS = [
    ({"family": "supervized"}, "bad: tasks: 'supervized' is unknown; allowed: a2c, language, "),
    ({"lerning": 1}, "bad: unknown key 'lerning'"),
    (
        {"optimizer": {"name": "adam", "lr": "1e-3"}},
        "bad: optimizer.lr: found '1e-3', allowed: a number above 0 (YAML",
    ),
    (
        {"optimizer": {"name": "adam", "lr": 0}},
        "bad: optimizer.lr: found 0, allowed: a number above 0",
    ),
    ({"optimizer": {"name": "adam"}}, "bad: optimizer: 'lr' is a required property"),
    ({"dataset": "digit"}, "bad: dataset 'digit' is unknown; did you mean 'digits'?"),
    (
        {"model": {"name": "lenet"}},
        "bad: models: 'lenet' is unknown; allowed: conv, lenet-300-100, resnet, resnet-20, vgg",
    ),
    ({"model": {"name": "lenet-300-100", "width": 2}}, "bad: model: unknown key 'width'; allowed: none"),
    ({"batch_size": 2000}, "bad: batch_size: 2000 is more than the 1320 training examples"),
    ({"validation": 1437}, "bad: validation: 1437 is not in 0 to 1436"),
    ({"rewind_points": ["epoch3"]}, "bad: rewind point epoch3 is after the end of training, epoch2"),
    ({"rewind_points": ["step45"]}, "bad: rewind point step45 is after the end of training, epoch2"),
    ({"rewind_points": ["epoch0"]}, "bad: 'epoch0' is not a point in training; allowed: init, epochN, stepN"),
    ({"length": "30"}, "bad: '30' is not a point in training"),
    (
        {"model": {"name": "resnet", "depth": 20}},
        "bad: model: depth: found 20, allowed: 18, 34, 50, 101, 152",
    ),
    ({"model": {"name": "vgg", "withd": 8}}, "bad: model: unknown key 'withd'; did you mean 'width'?"),
    ({"image": [1, 6, 8]}, "bad: image: found [1, 6, 8]; images of [1, 8, 8] fit into larger ones only"),
    ({"dataset": "cifar10", "image": [1, 32, 32]}, "bad: image: found [1, 32, 32]; images of [3, 32, 32]"),
    (
        {"augment": ["resized-crop"]},
        "bad: augment: found resized-crop, allowed for this data set: crop, flip",
    ),
    (
        {"dataset": "imagenet", "augment": ["crop"]},
        "bad: augment: found crop, allowed for this data set: resized-crop, flip",
    ),
    ({"length": "init"}, "bad: length: found init, allowed: a point after the first step"),
]


@pytest.mark.parametrize(("changes", "message"), TASKS, ids=[message for _, message in TASKS])
def test_a_task_is_refused(refused, changes, message):
    assert message in refused(tasks={"bad": TINY | changes})


def test_early_stopping_is_drawn_where_there_is_a_validation_split(refused):
    changes = {"validation": 0}
    message = refused(figure("metric", value="early_stop_step"), tasks={"tiny": TINY | changes})
    assert "value: found 'early_stop_step', allowed for curve winning" in message


def test_a_family_reports_what_it_says(workspace):
    """So that a figure of any of them can be drawn."""
    workspace.study |= {"seeds": [1], "levels": 1, "figures": []}
    workspace.write()
    workspace.snakemake()
    runs = pd.read_csv(workspace.path / "results/tables/tiny/runs.csv")
    task = read_tasks(workspace.path / "config/tasks", DATASETS)["tiny"]
    own = Curve("winning", "tiny", "tiny", "imp", "", "winning", (0, 1))
    for value in (*supervised.reports(task), *study.NUMBERS, "moved_kept", "moved_pruned"):
        study._check_value(value, own, task, "")
        assert pd.api.types.is_numeric_dtype(runs[value]), value


def test_a_rewind_point_that_the_task_does_not_keep_is_refused(refused):
    message = refused(curve(recipe="late"), recipes={"late": {"rewind": {"weights": "step7"}}})
    assert "recipe late rewinds to step7; task tiny keeps init, epoch1: add it" in message


def test_a_schedule_from_after_the_end_is_refused(refused):
    message = refused(curve(recipe="late"), recipes={"late": {"rewind": {"schedule": "epoch2"}}})
    assert "takes the schedule from epoch2, which is not before the end of task tiny, epoch2" in message


def test_a_transfer_between_architectures_is_refused(refused):
    tasks = {"mnist": TINY | {"dataset": "mnist"}}
    message = refused(curve(task="mnist", source="tiny", recipe="no-output"), tasks=tasks)
    assert "tiny and mnist differ beyond the output layer" in message


def test_an_output_layer_is_carried_only_where_outputs_mean_the_same(refused):
    tasks = {"other": TINY | {"dataset": "fashion-mnist"}, "mnist": TINY | {"dataset": "mnist"}}
    changes = {"task": "mnist", "source": "other", "recipe": "no-output", "ticket": "kept-output"}
    assert "the outputs of other and mnist do not mean the same: found" in refused(
        curve(**changes), tasks=tasks
    )


SNIP = {"snip": {"criterion": "snip", "iterative": False, "rewind": {"weights": "init"}}}


def test_a_family_that_has_no_such_scores_is_refused(refused, monkeypatch):
    games = runs.family("a2c").SMALLEST
    game = {**next(iter(games.values())), "rewind_points": ["epoch1"]}
    message = refused(curve(task="game", recipe="snip"), tasks={"game": game}, recipes=SNIP)
    assert "curve winning: recipe snip: task game: family a2c has no `scores`" in message
    monkeypatch.setattr(supervised, "METHODS", ("grasp",))
    message = refused(curve(recipe="snip", ticket="kept-fresh"), recipes=SNIP)
    assert "task tiny: criterion: found snip, allowed for family supervised: grasp" in message


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (figure("movement", "winning"), "figure f: curve winning"),
        (figure("metric", "winning", value="moved_kept"), "figure f: curve winning"),
        ({"claims": [{"value": "moved_pruned", "against": 0}]}, "claim c: curve winning"),
        ({"claims": [{"against_value": "moved_pruned"}]}, "claim c: curve winning"),
    ],
)
def test_how_far_weights_moved_before_a_mask_is_not_asked_where_none_did(refused, changes, what):
    said = {"name": "c", "statement": "s", "source": "s", "curve": "winning", "expect": "higher"}
    claims = [{**said, **claim} for claim in changes.get("claims", ())]
    message = refused({**curve(recipe="snip"), "figures": [], **changes, "claims": claims}, recipes=SNIP)
    assert f"{what}: recipe snip prunes before any weight has moved" in message


@pytest.mark.parametrize("rewind", [{"weights": "final"}, {"optimizer": "rewound"}])
def test_a_control_of_a_recipe_that_has_no_ticket_is_refused(refused, rewind):
    message = refused(curve(recipe="r", ticket="kept-fresh"), recipes={"r": {"rewind": rewind}})
    assert "tickets other than a lineage's own need" in message


@pytest.mark.parametrize(
    ("more", "rewind", "said"),
    [
        ({}, {"weights": "init"}, "rewinds to init, from where dense-rewound is the dense run again"),
        ({}, {"weights": "final"}, "rewind.weights final; tickets other than a lineage's own need"),
        ({"source": "tiny-b"}, {"optimizer": "rewound"}, "tickets other than a lineage's own need fresh"),
    ],
)
def test_the_dense_network_is_rewound_to_a_point_after_init(refused, more, rewind, said):
    message = refused(curve(recipe="r", ticket="dense-rewound", **more), recipes={"r": {"rewind": rewind}})
    assert said in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"LOWER_IS_BETTER": None}, "family half has no LOWER_IS_BETTER: runs.py says what a family is"),
        ({"train": None}, "family half has no train: runs.py says what a family is"),
        ({"SCHEMA": {"properties": {"length": {}}}}, "SCHEMA has no rewind_points, which every task needs"),
        ({"dataset": lambda task: "mnist"}, "family half reads mnist, which its task does not name"),
    ],
)
def test_a_family_that_is_not_whole_is_refused(refused, monkeypatch, change, message):
    schema = copy.deepcopy(supervised.SCHEMA)
    schema["properties"]["family"] = {"const": "half"}
    whole = {key: value for key, value in vars(supervised).items() if not key.startswith("__")}
    half = SimpleNamespace(
        **{k: v for k, v in (whole | {"SCHEMA": schema} | change).items() if v is not None}
    )
    find = plugins.find
    monkeypatch.setattr(plugins, "find", lambda kind, name: half if name == "half" else find(kind, name))
    runs.family.cache_clear()
    assert message in refused(tasks={"bad": TINY | {"family": "half"}})
    runs.family.cache_clear()


def test_a_name_that_stands_twice_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"same": TINY}))
    with pytest.raises(InputError, match=r"b.yaml: 'same' is defined in .*a.yaml already"):
        read_tasks(tmp_path, DATASETS)
    (tmp_path / "c.yaml").write_text("x: 1\ny: 2\nx: 3\n")
    with pytest.raises(InputError, match=r"c.yaml.*'x' is there twice"):
        read_yaml(tmp_path / "c.yaml")


NUMBERS = [
    ("optimizer", {"name": "adam", "lr": None}),
    ("optimizer", {"name": "adam", "lr": 1, "betas": [0, None]}),
]
NUMBERS += [("clip_norm", None), ("schedule", {"gamma": None}), ("batch_size", None)]


def put(entry, value):
    """The entry with its None replaced."""
    if isinstance(entry, dict):
        return {key: put(inner, value) for key, inner in entry.items()}
    return (
        [put(inner, value) for inner in entry]
        if isinstance(entry, list)
        else value
        if entry is None
        else entry
    )


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 10**400], ids=str)
@pytest.mark.parametrize(("key", "entry"), NUMBERS, ids=[str(entry) for entry in NUMBERS])
def test_a_number_that_is_not_finite_is_refused(refused, key, entry, value):
    assert ", allowed: a" in refused(tasks={"bad": TINY | {key: put(entry, value)}})


@pytest.mark.parametrize(
    "changes", [{"seeds": [1.0]}, {"levels": 2.0}, {"levels": float("inf")}, {"evaluate": [1.0]}], ids=str
)
def test_a_whole_number_is_written_as_one(refused, changes):
    assert "allowed: a whole number" in refused(changes)


def test_an_option_that_is_equal_and_another_type_is_refused(refused):
    """18.0 would be looked for as `resnet18.0`."""
    message = refused(tasks={"bad": TINY | {"model": {"name": "resnet", "depth": 18.0}}})
    assert "depth: found 18.0, allowed: 18, 34, 50, 101, 152" in message


NAMES = ["x" * 101, "a b", "a/b", "../a", "é", "", "-a", ".a", "a\n", "a{b", "{a}", "a*"]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_that_cannot_be_part_of_a_path_is_refused(refused, tmp_path, name):
    for more in ({"tasks": {name: TINY}}, {"recipes": {name: {}}}):
        message = refused(**more)
        assert "allowed: letters, digits, '.', '_' and '-'" in message or "is not swept, allowed" in message
    (tmp_path / "d.yaml").write_text(
        yaml.safe_dump({name: {"of": "digits", "half": "a"}}, allow_unicode=True)
    )
    with pytest.raises(InputError, match="allowed: letters, digits"):
        read_datasets(tmp_path)
    for key in ("study", "curves", "figures"):
        given = {"study": name, "curves": curve(name=name)["curves"]}
        given["figures"] = [{"name": name, "kind": "metric", "curves": ["winning"]}]
        assert "allowed: " in refused({key: given[key]})


def test_a_message_is_one_line_whatever_was_found(refused):
    assert refused({"study": "a\nb", "curves": [{"name": "x\ny"}]}).startswith("study a b: ")


@pytest.mark.parametrize(
    "text", ["a: [1", "- 1\n- 2\n", "a:\n\t- b", "a: 2001-99-99", "a: " + "[" * 2000, "a: &a [*a]"]
)
def test_a_file_that_is_not_a_yaml_mapping_is_refused(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=r"c.yaml: (is not YAML|found list)") as error:
        read_yaml(tmp_path / "c.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "needed", "there"),
    [
        ("imagenet", "imagenet: has neither a folder train nor ILSVRC", ["imagenet/train", "imagenet/val"]),
        ("places365", "has no folder data_256", ["places365/data_256_standard", "places365/val_256"]),
        ("mine", "mine: has no folder train", ["mine/train", "mine/val"]),
        ("mnist", "MNIST/raw: is not there, and will be downloaded", ["MNIST/raw"]),
        ("fashion-mnist", "FashionMNIST/raw: is not there", ["FashionMNIST/raw"]),
        ("cifar10", "cifar-10-batches-py: is not there", ["cifar-10-python.tar.gz"]),
        ("cifar10a", "cifar-10-batches-py: is not there", ["cifar-10-batches-py"]),
        ("cifar100", "cifar-100-python: is not there", ["cifar-100-python"]),
        ("cifar100-slice", "cifar100-slice: is not there", ["cifar100-slice"]),
        ("svhn", "svhn: is not there", ["svhn"]),
        ("digits", None, []),
    ],
)
def test_a_data_set_says_what_of_it_is_not_there(tmp_path, name, needed, there):
    dataset = {**DATASETS, "mine": {"name": "mine", "of": "image-folder"}}[name]
    said = absent(dataset, tmp_path)
    assert said is None if needed is None else needed in said and "\n" not in said
    for folder in there:
        (tmp_path / folder).mkdir(parents=True)
    assert absent(dataset, tmp_path) is None


def test_the_archives_of_imagenet_are_those_that_torchvision_unpacks():
    from torchvision.datasets.imagenet import ARCHIVE_META

    assert {part: ARCHIVE_META[part][0] for part in imagenet.ARCHIVES} == imagenet.ARCHIVES


def test_a_dry_run_says_which_data_set_is_not_there(workspace):
    workspace.tasks["tiny"] |= {"dataset": "fashion-mnist"}
    workspace.write()
    said = workspace.snakemake("-n", env={"LOTTERY_DATA": "nowhere"})
    assert "data set fashion-mnist: nowhere/FashionMNIST/raw: is not there, and will be d" in said.stderr


SCHEMA = read_yaml(REPO / "config/schemas/study.schema.yaml")


def test_the_command_line_is_read_as_yaml():
    """But a study's name is text, whatever it looks like."""
    texts = [
        "seeds=[2, 3]",
        "levels=3",
        "keep_weights=true",
        "study=7",
        "curves=[{name: a, copy: 1}]",
        "evaluate=",
    ]
    assert from_command_line(texts, SCHEMA) == {
        "seeds": [2, 3],
        "levels": 3,
        "keep_weights": True,
        "study": "7",
        "curves": [{"name": "a", "copy": 1}],
        "evaluate": None,
    }
    for text, message in (
        ("seeds=[2", "is not YAML"),
        ("curves=[{name: a, name: b}]", "'name' is there twice"),
    ):
        with pytest.raises(InputError, match=rf"^--config .*{message}"):
            from_command_line([text], SCHEMA)


def test_a_key_that_is_not_text_is_known_by_its_text(refused):
    """Snakemake's own reading leaves numbers as keys."""
    figures = [{"name": "f", "kind": "metric", "curves": ["winning"], "labels": {1: "a"}}]
    assert "label of curve '1' is unknown" in refused({"figures": figures})


def test_every_study_in_the_repository_is_valid():
    for path in [REPO / "config/config.yaml", *(REPO / "config/studies").rglob("*.yaml")]:
        read_study(read_yaml(path), REPO / "config")


def test_recipes_of_one_ladder_share_their_random_tickets(recipes):
    assert ladder(recipes["imp"]) == ladder(recipes["imp-init"]) == "global-weight-p0.2"
    assert ladder(recipes["imp-no-output"]) == "global-weight-no-output-p0.2"
    assert ladder(recipes["layerwise"]) == "layerwise-weight-p0.2-output-p0.1"
    assert ladder({**recipes["imp"], "rate": 0.5, "exclude": ["a.*"]}) == "global-weight-no-a.ANY-p0.5"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"exclude": ["fc9.*"]}, "'fc9.*' matches no tensor; the network has fc1.bias, fc1.weight"),
        ({"exclude": ["fc*", "output.*"]}, "nothing is prunable; found tensors fc1.bias, fc1.weight"),
        ({"roles": ["embedding"]}, "nothing is prunable; found tensors fc1.bias, fc1.weight"),
        ({"scope": "layerwise", "rates": {"fc9.*": 0.1}}, "'fc9.*' matches no tensor"),
    ],
)
def test_what_a_recipe_names_and_a_task_has_not_is_said_when_planned(refused, changes, message):
    found = refused(curve(recipe="own"), recipes={"own": changes})
    assert "recipe own on task tiny: " in found and message in found


def over_tasks(figure=None, **changes):
    """A study of two tasks with a figure over both; `changes`: of its curves, by name, None for none."""
    curves = {
        f"{t}-{k}": {"task": t, "recipe": "imp", "ticket": k} for t in ("tiny", "tiny-b") for k in KINDS
    }
    curves = {name: curve | {"label": curve["ticket"]} for name, curve in curves.items()}
    curves |= {name.replace("_", "-"): change for name, change in changes.items()}
    entry = {"name": "f", "kind": "tasks", "curves": [n for n, c in curves.items() if c]} | (figure or {})
    return {"curves": [{"name": n, **c} for n, c in curves.items() if c], "figures": [entry]}


KINDS = ("winning", "random")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"curves": ["tiny-winning", "tiny-b-random", "tiny-random"]},
            "group 'winning': found curves on tiny alone",
        ),
        (
            {"labels": {"tiny-random": "winning"}},
            "group 'winning': found 2 curves on tiny, allowed: one on each",
        ),
        ({"kind": "profile"}, "a figure of kind profile needs levels"),
        ({"reference": "rndom"}, "reference: label 'rndom' is unknown; did you mean 'random'?"),
    ],
)
def test_a_figure_over_tasks_that_says_nothing_is_refused(refused, changes, said):
    assert said in refused(over_tasks(changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tiny_winning": None, "tiny_b_winning": None},
            "needs a curve of tiny's own tickets, whose dense runs",
        ),
        (
            {"tiny_random": {"task": "tiny", "recipe": "no-output", "ticket": "random", "label": "random"}},
            "group 'random': its recipes keep different numbers of weights at a level",
        ),
        (
            {"tiny_c_random": {"task": "tiny-c", "recipe": "imp", "ticket": "random", "label": "random"}},
            "group 'random': found tasks tiny, tiny-b, tiny-c, allowed: those of group 'winning', tiny, tiny",
        ),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(refused, changes, said):
    tasks = {"tiny-c": TINY | {"dataset": "digits-a"}}
    assert said in refused(over_tasks(**changes), tasks=tasks)


def test_groups_over_tasks_are_compared_with_random_tickets_of_their_ladder(tmp_path):
    """And the study has their table; one without such a figure has none."""
    config = STUDY | {"study": "x", "levels": 2} | over_tasks()
    for curve in config["curves"]:
        curve["task"] = curve["task"].replace("tiny", "digits-lenet").replace("-lenet-b", "-b-lenet")
    found = read_study(copy.deepcopy(config), REPO / "config")
    own, random = found.groups()
    assert own["curves"] == ["tiny-winning", "tiny-b-winning"] and own["levels"] == [0, 1, 2]
    assert own["reference"] == "random" and own["against"] == ["tiny-random", "tiny-b-random"]
    assert random["reference"] == "" and random["levels"] == [1, 2] and found.tables[-1] == "tasks"
    config["figures"][0]["kind"] = "metric"
    found = read_study(config, REPO / "config")
    assert "groups" not in found.asked() and "tasks" not in found.tables


def test_a_ladder_of_many_rates_has_a_name_that_a_folder_can_have(recipes, tmp_path):
    """VGG19's layers, each with a rate of its own: more characters than a file's name has."""
    rates = {f"features.{layer}.weight": 0.2 for layer in range(0, 52, 3)}
    whole = recipes["layerwise"] | {"rates": rates}
    names = [ladder(whole), ladder(whole | {"rates": rates | {"features.51.weight": 0.3}})]
    for name in names:
        (tmp_path / name).mkdir()
    assert names[0] != names[1] and names[0].startswith("layerwise-weight-p0.2-features.0.weight-p0.2-f")
    assert ladders({"a": whole})[names[0]]["rates"] == rates
