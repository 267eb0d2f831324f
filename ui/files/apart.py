"""Large uploads are read, judged and kept by a process of their own, so that this one never holds
what is in them; small ones at once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paretoscope.base.encoding import decode
from paretoscope.sandbox.sandbox import SandboxError
from paretoscope.uploads import taking
from paretoscope.uploads.checking import Checked, UnknownLabelsError
from paretoscope.uploads.pictures import is_pictures
from paretoscope.uploads.taking import Brought, Taken
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ui.state import server

_AT_ONCE_BYTES = 4_000_000  # a process takes a second to start


def judged(brought: Brought) -> Checked:
    """`paretoscope.uploads.taking.judged`."""
    if _is_small(brought):
        return taking.judged(brought)
    found = _by_a_process("judge_upload_task", brought, {})
    if "unknown" in found:
        raise UnknownLabelsError(*found["unknown"])
    if "limit" in found:
        raise SandboxError(found["limit"])
    return decode(Checked, found["checked"])


def take(brought: Brought, dataset: str) -> Taken:
    """`paretoscope.uploads.taking.take`."""
    if _is_small(brought):
        return taking.take(brought, dataset)
    return decode(Taken, _by_a_process("take_upload_task", brought, {"dataset": dataset}))


def _is_small(brought: Brought) -> bool:
    if brought.rows is not None and is_pictures(brought.rows):
        return False  # unpacked they are many times larger
    return len(brought.data) + len(brought.rows or b"") < _AT_ONCE_BYTES


def _by_a_process(task: str, brought: Brought, more: Mapping[str, Any]) -> dict[str, Any]:
    # What the process puts there goes, too, however it ends.
    with tempfile.TemporaryDirectory(prefix="paretoscope-upload-") as folder:
        return server.at_once(task, taking.put_down(brought, Path(folder)) | dict(more))


def let_go(files: list[object]) -> None:
    """Take uploads out of the server's memory, where Streamlit keeps them until a visit ends."""
    context = get_script_run_ctx()
    for file in files:
        if context is not None and isinstance(file, UploadedFile):
            manager = context.uploaded_file_mgr
            if hasattr(manager, "remove_file"):  # of the one that Streamlit comes with
                manager.remove_file(context.session_id, file.file_id)
