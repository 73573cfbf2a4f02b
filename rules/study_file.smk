"""The study's files, refused before Snakemake reads them, which lets the last of a key that stands twice win."""

import sys
from pathlib import Path

HERE = Path(
    str(workflow.current_basedir)
).parent  # this workflow's, also where another one uses it as a module
sys.path.insert(0, f"{HERE}/workflow_scripts")

from lottery.config import check_study_file, from_command_line
from lottery.errors import InputError
from lottery.schemas import read_yaml

CONFIG = HERE / "config"
GIVEN = {}  # keys of the study from the command line

if workflow.is_main_process and "frozen" in config:
    sys.exit("error: unknown key 'frozen'")  # which jobs alone are given

# a study that another workflow hands over as a module's config is in no file of its own; a job's is frozen
if not workflow.modifier.skip_configfile and "frozen" not in config:
    try:
        for path in workflow.overwrite_configfiles or [CONFIG / "config.yaml"]:
            check_study_file(Path(path))
        GIVEN = from_command_line(
            workflow.config_settings.config_args or (), read_yaml(CONFIG / "schemas/study.schema.yaml")
        )
    except InputError as error:
        sys.exit(f"error: {error}")
