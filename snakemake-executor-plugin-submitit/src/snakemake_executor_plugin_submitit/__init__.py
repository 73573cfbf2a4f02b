"""Snakemake executor that runs jobs on SLURM, or on this machine, through submitit; see README.md."""

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings

from . import slurm, spool
from .submission import ExecutorSettings, Held, flags, local_gpus, submit
from .worker import TAIL

CLUSTERS = ("slurm", "local", "debug")
RESOURCES = (
    "gpu", "gpu_model", "mem_mb", "runtime", "pack",
    "slurm_partition", "slurm_account", "qos", "constraint", "slurm_extra",
)  # fmt: skip
LOOK = 0.2  # seconds between two looks for ended jobs
SETTLE = 5.0  # seconds that files of an ended job may take to be seen here
NO_MEMORY_SAYS_SLURM = re.compile(r"oom.?kill|exceeded (job )?memory limit", re.IGNORECASE)
NO_MEMORY_SAYS_JOB = re.compile(r"exit status 137|SIGKILL|MemoryError|annot allocate memory")


common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0,
)


@dataclass
class Job:
    """A Snakemake job under way. entry: its file in the spool; worker: who has it."""

    info: SubmittedJobInfo
    shape: str
    entry: spool.Entry
    worker: str | None = None


@dataclass
class Outcome:
    """error: why a job failed; None if it succeeded."""

    job: Job
    error: str | None = None
    logs: list[str] = field(default_factory=list)


class Executor(RemoteExecutor):  # type: ignore[misc]
    def __post_init__(self) -> None:
        self.settings: ExecutorSettings = self.workflow.executor_settings
        self.cluster = self.settings.cluster
        if self.cluster not in CLUSTERS:
            raise WorkflowError(f"submitit-cluster: found {self.cluster!r}, allowed: {', '.join(CLUSTERS)}")
        self.root = Path(".snakemake/submitit").resolve()
        for folder in ("workers", "ended", "log"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.mutex = threading.Lock()  # Snakemake submits in one thread and checks in another
        self.jobs: dict[str, Job] = {}
        self.homeless: list[str] = []  # jobs that no worker has
        self.held: dict[str, Held] = {}
        self.queue: dict[str, tuple[str, str]] = {}
        self.polled = self.place_again = 0.0
        self.memory_deaths: Counter[str] = Counter()
        self.stops: Counter[str] = Counter()
        self.config = self._freeze_config()
        if self.cluster == "slurm" and any(not job.is_local for job in self.dag.needrun_jobs()):
            self._check_slurm()
        self._take_up_workers()

    @property
    def next_seconds_between_status_checks(self) -> float:
        return LOOK

    def _freeze_config(self) -> Path:
        """The config as it is now: a job reads the Snakefile again, and would read an edited config file."""
        text = json.dumps(self.workflow.globals["config"], default=str)
        path = self.root / f"config-{_hash(text)}.json"
        path.write_text(text)
        return path

    def additional_general_args(self) -> str:
        """keep-incomplete: a job that fails may have been replaced, its outputs be its successor's."""
        return f"--configfiles {shlex.quote(str(self.config))} --keep-incomplete"

    def _check_slurm(self) -> None:
        """Stop before anything runs if SLURM is not there, or would refuse or never start some job."""
        if command := slurm.missing():
            raise WorkflowError(
                f"no SLURM found: {command} is not on the PATH; "
                "run this on a login node, or with --submitit-cluster local"
            )
        for name in [name for name in os.environ if name.startswith("SLURM_") and name != "SLURM_CONF"]:
            del os.environ[name]  # Snakemake itself may run in a SLURM job, whose limits are not its jobs'
        if (queue := slurm.queue()) is None:
            raise WorkflowError("SLURM does not answer: squeue failed; nothing was submitted")
        self.queue, self.polled = queue, time.time()
        shapes: dict[str, str] = {}
        for job in self.dag.needrun_jobs():
            if not job.is_local:
                with contextlib.suppress(Exception):  # resources may depend on files that are not there yet
                    shapes.setdefault(self._shape(job), job.name)
        for shape, rule in shapes.items():
            options = flags(shape, 1)
            if (said := slurm.refusal(options)) and not slurm.PASSING.search(said):
                asked = " ".join(f"--{key}={value}" for key, value in options.items())
                raise WorkflowError(f"rule {rule}: SLURM refuses {asked}: {said}")

    def _take_up_workers(self) -> None:
        """Workers of an earlier Snakemake that still run, and what they have been given."""
        for file in (self.root / "log").glob(".submission_file_*"):
            file.unlink()
        for folder in (self.root / "workers").iterdir():
            desk = spool.Desk(self.root, folder.name)
            said = spool.read(folder / "worker.json")
            if said is None or said.pop("cluster") != self.cluster:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if said["job_id"] is None:  # it died while it submitted: a worker that comes finds nothing
                desk.close()
                owner = spool.read(folder / "owner")
                if owner is None:
                    continue
                said["job_id"] = owner["job"]
            held = Held(folder.name, desk, **said, taken_up=True)
            if self._state(held)[0] in slurm.ENDED:
                self._clean(held)
            else:
                held.jobs = {*spool.jobs(desk.inbox), *spool.jobs(desk.running)}
                self.held[held.name] = held

    # ------------------------------------------------------------------ submission
    def run_job(self, job: JobExecutorInterface) -> None:
        self.run_jobs([job])

    def run_jobs(self, jobs: list[JobExecutorInterface]) -> None:
        outcomes = []
        for job in jobs:
            self.run_job_pre(job)
            name = _hash(" ".join(map(str, job.get_target_spec())))
            new = Job(SubmittedJobInfo(job, aux={"name": name}), self._shape(job, name), self._entry(job))
            with self.mutex:
                self.jobs[name] = new
                found = self._find(name, new)
                if found == "done":
                    outcomes.append(Outcome(self.jobs.pop(name)))
            if found is None:
                self._register(job)
            if found != "done":
                self.report_job_submission(new.info)
            if found is None:
                with self.mutex:
                    self.homeless.append(name)
        with self.mutex:
            outcomes += self._place()
        self._report(outcomes)

    def _entry(self, job: JobExecutorInterface) -> spool.Entry:
        parts = job.jobs if job.is_group() else [job]
        what = [[part.name, dict(part.params.items()), list(part.params), list(part.input)] for part in parts]
        return {
            "command": self.format_job_exec(job),
            "cwd": self.workflow.workdir_init,
            "name": _title(job),
            "signature": _hash(repr([job.get_target_spec(), what])),
        }

    def _find(self, name: str, new: Job) -> str | None:
        """Whether an earlier Snakemake began this very job: "runs", "done"; one out of date is cancelled."""
        for held in self.held.values():
            if name not in held.jobs:
                continue
            for path in (held.desk.running / name, held.desk.inbox / name):
                if (spool.read(path) or {}).get("signature") == new.entry["signature"]:
                    jobid = new.info.job.jobid
                    self.logger.info(f"Job {jobid} still runs, as {self.cluster} job {held.job_id}.")
                    new.worker = held.name
                    return "runs"
            if not list((self.root / "ended").glob(f"{name}.*")):
                self.logger.info(f"{self.cluster} job {held.job_id} is out of date, and cancelled.")
                self._cancel([held])
                held.slots = 0
                held.desk.revoke()
        for path in (self.root / "ended").glob(f"{name}.*"):
            entry = spool.read(path) or {}
            path.unlink()
            for held in self.held.values():
                held.jobs.discard(name)
            if entry.get("status") == 0 and entry["signature"] == new.entry["signature"]:
                job = new.info.job
                wanted = not job.is_group() and self.dag.reason(job).missing_output
                if wanted and all(os.path.exists(path) for path in job.output):
                    return "done"  # it ended after the plan was made
        return None

    def _register(self, job: JobExecutorInterface) -> None:
        """Record what the job is made from now: should this process die, nobody else would."""

        async def record() -> None:
            for part in job.jobs if job.is_group() else [job]:
                await part.remove_existing_output()
                await self.workflow.persistence.finished(part)

        self.workflow.async_run(record())

    def _shape(self, job: JobExecutorInterface, name: str = "") -> str:
        """What the job asks of the cluster, as JSON."""
        asked = {key: job.resources.get(key) for key in RESOURCES if job.resources.get(key)}
        if "mem_mb" in asked:
            asked["mem_mb"] = int(asked["mem_mb"]) * 2 ** self.memory_deaths[name]
        asked |= {"runtime": asked.get("runtime", 60), "threads": max(1, job.threads)}
        return json.dumps(asked, sort_keys=True, default=str)

    def _place(self) -> list[Outcome]:
        """Give every homeless job to a worker with room, or to a new one. Returns those SLURM refused."""
        if not self.homeless or time.time() < self.place_again:
            return []
        shapes: dict[str, list[str]] = defaultdict(list)
        for name in self.homeless:
            shapes[self.jobs[name].shape].append(name)
        refused = []
        for shape, names in shapes.items():
            for held in sorted(self.held.values(), key=lambda held: held.submitted):
                while names and held.shape == shape and len(held.jobs) < held.slots and self._fits(shape, 1):
                    if not self._hand_in(held, names[0]):
                        held.slots = 0
                        break
                    self.homeless.remove(names.pop(0))
            pack = max(1, int(json.loads(shape).get("pack", 1)))
            while pack > 1 and self.cluster == "local" and not self._fits(shape, pack):
                pack -= 1
            batches = [names[start : start + pack] for start in range(0, len(names), pack)]
            full = [batch for batch in batches if len(batch) == pack]
            together = max(1, self.settings.array) if self.cluster == "slurm" else 1
            for some in (full, batches[len(full) :]):
                for start in range(0, len(some), together):
                    refused += self._submit(shape, some[start : start + together])
        return refused

    def _hand_in(self, held: Held, name: str) -> bool:
        if not held.desk.hand_in(name, self.jobs[name].entry):
            return False
        held.jobs.add(name)
        self.jobs[name].worker = held.name
        self.logger.info(f"Job {self.jobs[name].info.job.jobid} runs as {self.cluster} job {held.job_id}.")
        return True

    def _submit(self, shape: str, batches: list[list[str]]) -> list[Outcome]:
        """Start a worker for each batch of jobs; several as one job array."""
        gpus = self._free_gpus(int(json.loads(shape).get("gpu", 0)))
        if gpus is None or not self._fits(shape, len(batches[0])):
            return []  # until this machine has room
        new = []
        for batch in batches:
            desk = spool.Desk(self.root, uuid.uuid4().hex[:12])
            new.append(Held(desk.worker, desk, shape, len(batch), "", time.time(), gpus, set(batch)))
        try:
            for held in new:
                held.desk.set_up()
                held.save(self.cluster, None)
                for name in held.jobs:
                    held.desk.hand_in(name, self.jobs[name].entry)
            ids = submit(self.settings, self.root, new, self.jobs[batches[0][0]].entry["name"])
        except Exception as error:
            for held in new:
                shutil.rmtree(held.desk.folder, ignore_errors=True)
            said = str(error).strip()
            if slurm.PASSING.search(said):
                self.logger.warning(f"SLURM takes no jobs now, trying again: {said.splitlines()[-1]}")
                self.place_again = time.time() + self.settings.queue_poll
                return []
            names = [name for batch in batches for name in batch]
            self.homeless = [name for name in self.homeless if name not in names]
            return [Outcome(self.jobs.pop(name), f"the job was refused: {said}") for name in names]
        for held, job_id in zip(new, ids, strict=True):
            held.job_id = job_id
            held.save(self.cluster, job_id)
            self.held[held.name] = held
            for name in held.jobs:
                self.homeless.remove(name)
                self.jobs[name].worker = held.name
                self.logger.info(f"Job {self.jobs[name].info.job.jobid} is {self.cluster} job {job_id}.")
        self.polled = min(self.polled, time.time() - self.settings.queue_poll + SETTLE)  # look soon
        return []

    def _fits(self, shape: str, number: int) -> bool:
        """Whether this machine has cores for so many more local jobs; one that asks for more runs alone."""
        if self.cluster != "local":
            return True
        busy = sum(json.loads(job.shape)["threads"] for job in self.jobs.values() if job.worker)
        cores = len(os.sched_getaffinity(0))
        wanted = number * json.loads(shape)["threads"]
        return bool(busy + wanted <= cores or (busy == 0 and number == 1))

    def _free_gpus(self, wanted: int) -> list[int] | None:
        """Free GPUs of this machine for a local job; none if it has none at all; None if they are busy."""
        if self.cluster != "local" or not wanted:
            return []
        there = local_gpus()
        if 0 < len(there) < wanted:
            raise WorkflowError(f"gpu: found {wanted}, allowed: up to {len(there)}, which this machine has")
        for held in self.held.values():
            if held.gpus and not held.jobs:
                held.slots, held.gpus = 0, []
                held.desk.close()
        busy = {gpu for held in self.held.values() for gpu in held.gpus}
        free = [gpu for gpu in there if gpu not in busy][:wanted]
        return free if len(free) == min(wanted, len(there)) else None

    # ------------------------------------------------------------------ status
    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        if not active_jobs:
            return
        if self.cluster == "slurm" and time.time() - self.polled > self.settings.queue_poll:
            asked = time.time()
            if (queue := slurm.queue()) is not None:
                self.queue, self.polled = queue, asked
            else:
                self.logger.warning("SLURM does not answer; waiting.")
                self.polled = asked
                self.queue = {held.job_id: ("UNKNOWN", "") for held in self.held.values()}
        with self.mutex:
            outcomes = self._collect() + self._look_after_workers() + self._place()
        self._report(outcomes)
        for info in active_jobs:
            job = self.jobs.get(info.aux["name"])
            if job is not None and job.info is info:
                yield info

    def _report(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.error is None:
                self.report_job_success(outcome.job.info)
            else:
                self.report_job_error(outcome.job.info, msg=outcome.error + "\n", aux_logs=outcome.logs)

    def _collect(self) -> list[Outcome]:
        """The jobs that workers are done with."""
        outcomes = []
        for file in spool.jobs(self.root / "ended"):
            name, _, worker = file.partition(".")
            job = self.jobs.get(name)
            if job is None:
                continue
            path = self.root / "ended" / file
            entry = spool.read(path)
            path.unlink(missing_ok=True)
            if worker != job.worker or entry is None:
                continue
            held = self.held[worker]
            held.jobs.discard(name)
            if "status" not in entry:  # handed back
                held.slots = 0
                self._rehouse(name)
                continue
            outcomes.append(Outcome(self.jobs.pop(name)))
            if entry["status"]:
                self.memory_deaths[name] += bool(NO_MEMORY_SAYS_JOB.search(entry["output"]))
                outcomes[-1].error = f"{self.cluster} job {held.job_id}: exit status {entry['status']}"
                if not any(os.path.getsize(log) for log in job.info.job.log if os.path.exists(log)):
                    outcomes[-1].logs = [str(held.desk.folder / f"{name}.log")]
                held.failed = True
        return outcomes

    def _state(self, held: Held) -> tuple[str, str]:
        """SLURM's state of a worker, and its reason."""
        if self.cluster == "slurm":
            if self.polled < held.submitted + SETTLE and held.job_id not in self.queue:
                return "PENDING", ""
            return self.queue.get(held.job_id, ("MISSING", ""))
        if self.cluster == "local":
            with contextlib.suppress(OSError, ChildProcessError):
                os.waitpid(int(held.job_id), os.WNOHANG)
            with contextlib.suppress(OSError):
                if b"submitit" in Path(f"/proc/{held.job_id}/cmdline").read_bytes():
                    return "RUNNING", ""
        return "MISSING", ""

    def _look_after_workers(self) -> list[Outcome]:
        """Give the jobs of workers that are gone to others, or report them as failed."""
        outcomes: list[Outcome] = []
        for held in list(self.held.values()):
            state, reason = self._state(held)
            if state == "PENDING" and reason in slurm.HOPELESS:
                self._cancel([held])
                for name in self._own(held):
                    outcomes.append(self._lost(held, name, f"would be pending for ever: {reason}"))
                self._forget(held)
            elif state not in slurm.ENDED:
                held.dead_since = None
            elif held.dead_since is None:
                held.dead_since = time.time()
                held.desk.revoke()  # should it live all the same
            elif time.time() - held.dead_since > SETTLE:
                if state == "FAILED" and NO_MEMORY_SAYS_SLURM.search(_tail(self._log(held))):
                    state = "OUT_OF_MEMORY"  # where SLURM itself watches memory, it calls this FAILED
                for name in self._own(held):
                    if self._excused(held, name, state) and self.stops[name] < self.settings.max_timeouts:
                        self.stops[name] += 1
                        self._rehouse(name)
                    else:
                        self.memory_deaths[name] += state == "OUT_OF_MEMORY"
                        outcomes.append(self._lost(held, name, f"ended without a result (state {state})"))
                self._forget(held)
        return outcomes

    def _own(self, held: Held) -> list[str]:
        """The jobs of this workflow that a worker has now."""
        return [name for name in held.jobs if name in self.jobs and self.jobs[name].worker == held.name]

    def _excused(self, held: Held, name: str, state: str) -> bool:
        """Whether a job that its worker took with it simply runs again, and has not failed."""
        if state in slurm.NOT_OUR_FAULT or held.taken_up:
            return True
        if (held.desk.inbox / name).exists():  # not begun; but a worker that never arrived will not next time
            return (held.desk.folder / "owner").exists()
        stopped = "stopped" in (spool.read(held.desk.running / name) or {})
        return stopped and state not in ("CANCELLED", "OUT_OF_MEMORY")

    def _rehouse(self, name: str) -> None:
        self.jobs[name].worker = None
        self.homeless.append(name)

    def _log(self, held: Held) -> Path:
        return self.root / "log" / f"{held.job_id}_0_log.out"

    def _lost(self, held: Held, name: str, message: str) -> Outcome:
        logs = [held.desk.folder / f"{name}.log", self._log(held)]
        said = f"{self.cluster} job {held.job_id} {message}"
        held.failed = True
        return Outcome(self.jobs.pop(name), said, [str(log) for log in logs if log.exists()])

    def _forget(self, held: Held) -> None:
        """Remove a worker that is gone, and its files if no job of it has failed."""
        del self.held[held.name]
        if not held.failed:
            self._clean(held)

    def _clean(self, held: Held) -> None:
        shutil.rmtree(held.desk.folder, ignore_errors=True)
        for file in (self.root / "log").glob(f"{held.job_id}_*"):
            file.unlink(missing_ok=True)

    def _cancel(self, workers: list[Held]) -> None:
        if self.cluster == "slurm":
            slurm.cancel([held.job_id for held in workers])
        elif self.cluster == "local":
            for held in workers:
                with contextlib.suppress(OSError):
                    os.kill(int(held.job_id), signal.SIGTERM)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        with self.mutex:
            ours = [held for held in self.held.values() if not held.jobs or self._own(held)]
            self._cancel(ours)

    def shutdown(self) -> None:
        super().shutdown()
        for held in self.held.values():
            if not held.jobs:
                held.desk.close()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-TAIL:] if log.exists() else ""


def _title(job: JobExecutorInterface) -> str:
    """Rule and wildcards, as squeue shows them."""
    words = [job.name, *map(str, [] if job.is_group() else job.wildcards)]
    return re.sub(r"[^\w.,=+-]", "_", ".".join(words))[:200]
