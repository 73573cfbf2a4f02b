"""The workflow as a module of another one, as docs/configuration.md shows it."""

import re
import subprocess
import sys

import yaml
from conftest import REPO, contents

OUTER = re.search(r"```python\n(configfile:.*?)```", (REPO / "docs/configuration.md").read_text(), re.DOTALL)[
    1
]


def test_another_workflow_runs_a_study_to_its_table_and_goes_on_from_it(workspace, tmp_path):
    """Tasks and recipes are those of the module's folder; the study and all results are the outer one's."""
    outer = tmp_path / "outer"
    outer.mkdir()
    study = workspace.study | {"study": "theirs", "seeds": [1], "levels": 1}
    assert "/path/to/lottery/Snakefile" in OUTER and "results/tables/mine/runs.csv" in OUTER
    text = OUTER.replace("/path/to/lottery", str(workspace.path)).replace("tables/mine", "tables/theirs")
    (outer / "Snakefile").write_text(text)
    (outer / "study.yaml").write_text(yaml.safe_dump({"lottery": study}))
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    command += ["--workflow-profile", f"{workspace.path}/profiles/default"]
    done = subprocess.run(command, cwd=outer, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((outer / "best.txt").read_text().splitlines()) == 1 + 2 + 1
    again = subprocess.run(command, cwd=outer, capture_output=True, text=True)
    assert "Nothing to be done" in again.stdout + again.stderr
    assert not (workspace.path / "results").exists()
    (workspace.path / "config/config.yaml").write_text(yaml.safe_dump(study))
    workspace.snakemake("--", "results/dense/tiny/seed1/metrics.json")
    assert contents(workspace.path / "results/dense") == contents(outer / "results/dense")
