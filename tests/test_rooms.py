"""The rooms of the library: what each may import, and that no path is written in two places."""

import ast
import re
from pathlib import Path

import pytest
from conftest import REPO

LIBRARY = REPO / "workflow_scripts/lottery"
MODULES = sorted(path for path in LIBRARY.rglob("*.py"))
PAGE = (REPO / "docs/rooms.md").read_text()


def rooms():
    """Room -> its floor: the page lists them from the ground up, and a floor uses those below it only."""
    listed = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1]
    found = {}
    for floor, line in enumerate(line for line in listed.splitlines() if line.strip()):
        for room in line.partition("  #")[0].split():
            assert room not in found, f"{room} is there twice"
            found[room] = floor
    return found


ROOMS = rooms()


def name_of(path):
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(module):
    """`tasks.a2c.games` is in the room `tasks`; a family is a room of its own inside it."""
    return module.split(".")[0] + ("/" if (LIBRARY / module.split(".")[0]).is_dir() else "")


def imported(path):
    """Modules of the library that a module imports, also where it does so late."""
    package = name_of(path).split(".") if path.name == "__init__.py" else name_of(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                whole = LIBRARY.joinpath(*base, alias.name)
                deeper = whole.with_suffix(".py").exists() or whole.is_dir()
                yield ".".join([*base, alias.name] if deeper else base)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_uses_what_is_below_it_and_no_other_family(path):
    mine = name_of(path)
    if not mine:
        return  # the library's own __init__ holds a number
    assert room_of(mine) in ROOMS, f"{room_of(mine)} is missing in docs/rooms.md"
    for other in imported(path):
        if not other:
            continue
        same = room_of(other) == room_of(mine)
        assert same or ROOMS[room_of(other)] < ROOMS[room_of(mine)], f"{mine} imports {other}"
        if same and mine.startswith("tasks."):
            assert other.split(".")[1] == mine.split(".")[1], f"{mine} imports another family, {other}"


def test_no_circle_of_imports():
    graph = {name_of(path): {m for m in imported(path) if m} for path in MODULES}
    done, walking = set(), []

    def walk(module):
        assert module not in walking, " -> ".join([*walking[walking.index(module) :], module])
        if module in done or module not in graph:
            return
        walking.append(module)
        for other in sorted(graph[module] - {module}):
            walk(other)
        done.add(walking.pop())

    for module in graph:
        walk(module)


def test_every_room_is_there():
    assert {room for room in ROOMS if not (LIBRARY / room.rstrip("/")).exists() and not
            (LIBRARY / f"{room}.py").exists()} == set()  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_in_its_first_line_what_it_is(path):
    assert path.read_text().startswith('"""')


NAMES = (r"\b(?:metrics|pruning|provenance|init)\.json\b", r"\bmask\.npz", r"\bcurve\.csv")
NAMES += (r"\b(?:weights|trained|rewind|init|optimizer)\.safetensors",)
WRITTEN = re.compile(rf"""["'](?:results/|[^"'\n]*(?:{"|".join(NAMES)}))""")


def test_paths_under_results_stand_in_the_book_of_addresses_only():
    files = [*MODULES, *REPO.glob("workflow_scripts/*.py"), *REPO.glob("rules/*.smk"), REPO / "Snakefile"]
    found = []
    for path in files:
        if path.name == "addresses.py":
            continue
        text = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        found += [f"{path.relative_to(REPO)}: {match[0]}" for match in WRITTEN.finditer(text)]
    assert found == []


def test_only_where_a_process_starts_is_its_environment_read_or_a_signal_taken():
    """Trainings get what they need of it in `runs.Process`."""
    edge = {"endings.py", "logs.py", "stopping.py", "warm.py"}
    found = [
        str(path.relative_to(LIBRARY))
        for path in MODULES
        if re.search(r"os\.environ\[|os\.environ\.get|signal\.signal", path.read_text())
        and path.name not in edge
    ]
    assert found == []


def test_the_page_s_diagram_names_rooms_that_are_there():
    named = {Path(name).name.rstrip("/") for name in re.findall(r"`lottery/([\w/]+?)(?:\.py)?/?`", PAGE)}
    there = {path.stem for path in LIBRARY.rglob("*")}
    assert named <= there, named - there
