"""What the terminal says of jobs that end otherwise than they should, and how to go on; a line for each."""

import json
import logging
import os
import shlex
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SHOWN = 10  # runs that are named where many have not learned
AGAIN = "LOTTERY_AGAIN"  # the command that goes on, where it is not Snakemake's own
STUDY = "LOTTERY_STUDY"  # the files of the study, as Snakemake was given them, for jobs that name a command


def why(logs: Iterable[str]) -> str:
    """What the first of some logs that says anything ends with: its error, or its exception."""
    for log in logs:
        try:
            lines = Path(log).read_text(errors="replace").rstrip().splitlines()
        except OSError:
            continue
        if errors := [line for line in lines if line.startswith("error: ")]:
            return errors[-1]
        begun = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent")]
        after = lines[begun[-1] + 1 :] if begun else lines[-1:]
        if said := [line.strip() for line in after if line.strip() and (not begun or not line[0].isspace())]:
            return said[0]
    return "its log is empty: it has not begun, or its process was killed"


def again() -> str:
    return os.environ.get(AGAIN) or shlex.join(["snakemake", *sys.argv[1:]])


def anew(files: str) -> str:
    """The command that makes some files of this study again."""
    return " ".join(filter(None, ["snakemake --cores all", os.environ.get(STUDY), f"-R {files}"]))


def unlearned(metrics: Iterable[str]) -> list[str]:
    """Those of some runs that have diverged or collapsed, with the reason."""
    found = []
    for path in metrics:
        try:
            run = json.loads(Path(path).read_text())
            if run["status"] != "ok":
                found.append(f"{Path(path).parent}: {run['status']}: {run['reason']}")
        except (OSError, ValueError, LookupError):
            continue  # the tables say so
    return found


class Ending(logging.Filter):
    """Reads along what Snakemake logs. A job that fails gets one line, at once and at the end."""

    def __init__(self, workflow: Any, logger: logging.Logger) -> None:
        super().__init__()
        self.workflow, self.logger = workflow, logger
        self.interrupted = False
        self.failures: dict[int, str] = {}

    def watch(self) -> None:
        files = [str(path) for path in self.workflow.overwrite_configfiles or ()]
        os.environ[STUDY] = shlex.join(["--configfile", *files]) if files else ""
        self.logger.addFilter(self)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, *_: Any) -> None:
        self.interrupted = True
        raise KeyboardInterrupt

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is shown: not what jobs say that Ctrl-C has ended, nor the bare exit status of a
        script, about which the line of its job says more."""
        if getattr(record, "event", None) is None:
            return True
        failed, exception = hasattr(record, "rule_name"), getattr(record, "exception", None)
        error = record.levelno >= logging.ERROR
        if self.interrupted and error and (failed or exception):
            return False
        if error and failed:
            self._note(record)
        return not (exception == "RuleException" and "CalledProcessError" in record.getMessage())

    def _note(self, record: logging.LogRecord) -> None:
        said = vars(record)
        running = {job.jobid: job for job in list(self.workflow.scheduler.running) if not job.is_group()}
        job = running.get(said["jobid"])
        named = (
            [f"{name.strip('_')}={value}" for name, value in job.wildcards.items() if value] if job else []
        )
        logs = [str(log) for log in said["log"]]
        what = " ".join([said["rule_name"], *named])
        where = f"; log: {logs[0]}" if logs else ""
        line = f"FAILED {what}: {why(logs)}{where}; to go on: {again()}"
        self.failures[said["jobid"]] = line
        self.logger.error(line)

    def tell(self) -> None:
        """At the end: what failed, what has not learned, how to go on."""
        scheduler = self.workflow.scheduler
        made = [job.output.get("metrics") for job in self.workflow.dag.finished_jobs if not job.is_group()]
        made = [path for path in made if path]
        if runs := unlearned(made):
            rest = [f"... and {len(runs) - SHOWN} more"] if len(runs) > SHOWN else []
            head = (
                f"{len(runs)} of the {len(made)} trainings made now diverged or collapsed (count at chance):"
            )
            self.logger.warning("\n  ".join([head, *runs[:SHOWN], *rest]))
        for job in scheduler.failed:
            self.logger.error(self.failures.get(job.jobid, f"FAILED {job}; to go on: {again()}"))
        if self.interrupted:
            saved = "trainings under way save their state"
            self.logger.error(f"Stopped by Ctrl-C; {saved}; to go on: {again()}")
