"""The jobs for SLURM, run with programs in place of SLURM's that write down their arguments."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
JOBS = sorted((ROOT / "scripts/slurm").glob("*.sbatch"))
TRAINING = ["one_node.sbatch", "several_nodes.sbatch"]
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
SETTINGS = {
    "SLURM_JOB_ID": "4711",
    "SLURM_CPUS_PER_TASK": "16",
    "SLURM_GPUS_ON_NODE": "4",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_JOB_NODELIST": "node[7-8]",
}
STAND_IN = f"""#!{sys.executable}
import json, os, sys, time
name = os.path.basename(sys.argv[0])
if "scheduler" in sys.argv:
    open(sys.argv[sys.argv.index("--scheduler-file") + 1], "w").close()
while "--dask" in sys.argv and not os.path.exists(sys.argv[-1]):
    time.sleep(0.01)
if name == "scontrol":
    print("node7\\nnode8")
with open("calls.jsonl", "a") as file:
    threads = "OMP=" + os.environ.get("OMP_NUM_THREADS", "")
    file.write(json.dumps([name, *sys.argv[1:], threads]) + "\\n")
"""


def calls(job: str, *arguments: str, folder: Path, code: int = 0) -> list[list[str]]:
    """What a job calls when it is started in this folder."""
    programs = folder / "environment/bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name in ("srun", "scontrol", "dask", "brainage"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)
    (folder / "calls.jsonl").unlink(missing_ok=True)
    surroundings = {
        "PATH": os.environ["PATH"],
        "BRAINAGE_ENVIRONMENT": str(folder / "environment"),
        "SLURM_SUBMIT_DIR": str(folder),
        **SETTINGS,
    }
    done = subprocess.run(
        ["bash", ROOT / "scripts/slurm" / job, *arguments],
        env=surroundings,
        check=False,
        timeout=60,
    )
    assert done.returncode == code
    return [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]


def called(program: str, found: list[list[str]]) -> list[str]:
    (call,) = [each for each in found if each[0] == program]
    return call


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.name)
def test_a_job_is_a_script_without_faults(job):
    subprocess.run(["bash", "-n", job], check=True)
    done = subprocess.run([SHELLCHECK, job], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def test_there_are_jobs():
    assert {job.name for job in JOBS} >= set(TRAINING)


def test_one_machine_trains_on_as_many_devices_as_it_was_given(tmp_path):
    srun = called("srun", calls("one_node.sbatch", "--config", "lfnn3d.yaml", folder=tmp_path))
    assert srun[1:-1] == [
        "--cpus-per-task=16", "brainage", "train", "--runs", "runs/slurm-4711", "--devices", "4",
        "--config", "lfnn3d.yaml",
    ]  # fmt: skip


def test_several_machines_meet_at_the_first_and_start_a_rank_for_each_device(tmp_path):
    srun = called("srun", calls("several_nodes.sbatch", "--config", "lfnn3d.yaml", folder=tmp_path))
    assert "torchrun --nnodes=2 --nproc-per-node=4 " in " ".join(srun)
    assert "--rdzv-endpoint=node7:24711" in srun
    assert srun[-1] == "OMP=4"  # 16 cores for 4 ranks
    ranks = ["-m", "brainage", "train", "--runs", "runs/slurm-4711", "--config", "lfnn3d.yaml"]
    assert srun[-1 - len(ranks) : -1] == ranks


@pytest.mark.parametrize("job", TRAINING)
def test_a_job_that_is_started_again_goes_on_with_its_run(job, tmp_path):
    for owner in ("slurm-4711", "slurm-4710"):
        run = tmp_path / "runs" / owner / f"of {owner}"
        run.mkdir(parents=True)
        (run / "run.json").write_text("{}")
    srun = called("srun", calls(job, "--config", "lfnn3d.yaml", folder=tmp_path))
    assert srun[-3:-1] == ["--resume", "runs/slurm-4711/of slurm-4711"]
    assert "--config" not in srun


def test_preprocessing_is_shared_out_and_its_scheduler_s_file_goes(tmp_path):
    found = calls("preprocess.sbatch", "mybids", "--out", "derivatives/x", folder=tmp_path)
    brainage = called("brainage", found)
    scheduler = str(tmp_path / "scheduler-4711.json")
    assert brainage[1:-1] == [
        "preprocess", "mybids", "--out", "derivatives/x", "--dask", scheduler,
    ]  # fmt: skip
    assert not Path(scheduler).exists()


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.name)
def test_a_job_that_does_not_succeed_says_so(job, tmp_path):
    (tmp_path / "environment/bin").mkdir(parents=True)
    surroundings = {**SETTINGS, "PATH": os.environ["PATH"], "SLURM_SUBMIT_DIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", job], env=surroundings, capture_output=True, check=False, timeout=60
    )
    assert done.returncode != 0


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.name)
def test_the_program_has_the_options_that_a_job_uses(job):
    from brainage.cli import app

    text = job.read_text(encoding="utf-8")
    command = re.search(r"^.*brainage (train|preprocess) .*$", text, flags=re.MULTILINE)
    used = re.findall(r" (--[a-z]+)", command[0].partition("brainage ")[2])
    known = {name for each in get_command(app).commands[command[1]].params for name in each.opts}
    assert set(used) <= known
    assert used
