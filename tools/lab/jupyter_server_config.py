"""What `make lab` adds to the JupyterLab of this machine; its JUPYTER_CONFIG_PATH leads here."""

import os
from pathlib import Path
from typing import Any

WIDGET = "application/vnd.jupyter.widget-view+json"


def forget_widgets(model: dict[str, Any], **_: Any) -> None:
    """Save of a slider what it says without a kernel; its widget is gone with the kernel."""
    if model["type"] != "notebook":
        return
    for cell in model["content"]["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                data.pop(WIDGET, None)


c = get_config()  # type: ignore[name-defined]  # noqa: F821
c.ContentsManager.pre_save_hook = forget_widgets
# Each kernel runs this file first, and so before a lesson's first cell.
os.environ["PYTHONSTARTUP"] = str(Path(__file__).with_name("first_cell.py"))
# No question about news in the corner of the first lesson.
c.LabApp.app_settings_dir = str(Path(__file__).with_name("settings"))
