"""What ``import lipteach`` brings, and what it leaves alone; what ``make lab`` opens."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from browser.lab import free_port, stop, wait_for

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """
import json, random, sys, torch
before = torch.random.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
torchs = set(sys.modules)
import lipteach
same = torch.equal(before[0], torch.random.get_rng_state())
same &= before[1:] == (torch.get_default_dtype(), torch.get_num_threads())
print(json.dumps({"same": same, "modules": list(set(sys.modules) - torchs)}))
"""


def test_the_root_imports_neither_classroom_nor_solver_nor_plots() -> None:
    out = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    ).stdout
    report = json.loads(out)
    assert report["same"], "nothing is seeded or set at import"
    unwanted = {"z3", "matplotlib", "ipywidgets", "IPython", "ot", "scipy", "torch._dynamo"}
    unwanted |= {"lipteach.classroom", "lipteach.training"}
    assert not unwanted & set(report["modules"])


def test_the_command_of_make_lab_serves_the_first_lesson(tmp_path: Path) -> None:
    """The Makefile's own lines, run as they stand but elsewhere and without a window."""
    for folder in ("notebooks", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    copy, line = re.findall(
        r"^lab: \$.*\n\t\$\(RUN\) (.*)\n\t\$\(RUN\) (-m jupyterlab .*)$", makefile, re.MULTILINE
    )[0]
    subprocess.run([sys.executable, *shlex.split(copy)], cwd=tmp_path, check=True)
    port = free_port()
    options = f"--no-browser --ServerApp.port={port} --IdentityProvider.token=lab --allow-root"
    words = shlex.split(line.replace("$(ROOT_OK)", "").replace("$(LAB)", options))
    server = subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        page = wait_for(f"{base}/api/contents/00_start_here.ipynb?content=0&token=lab", server)
        assert json.loads(page)["path"] == "00_start_here.ipynb"
        assert b"00_start_here" in wait_for(
            f"{base}/lab/tree/00_start_here.ipynb?token=lab", server
        )
    finally:
        stop(server)
    assert "default_url=/lab/tree/00_start_here.ipynb" in line
