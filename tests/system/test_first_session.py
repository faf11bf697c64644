"""The first tutorial, typed as it stands: shell, session and notebook."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from ..documentation import DOCS, code_blocks
from ..processes import child

PAGE = "tutorials/first-session.md"
ROOT = DOCS.parent
DEADLINE_S = 240


def blocks(language):
    return [text for _, text in code_blocks(PAGE, language)]


@pytest.fixture
def environment(monkeypatch):
    """A user's own: the EPICS of the other tests is none of theirs."""
    for name in [name for name in os.environ if name.startswith(("EPICS_", "TILED_", "BEAMLINE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.slow("a demo, and a whole beamline for a session and a notebook")
@pytest.mark.timeout(900)
def test_every_step_does_what_the_page_says(environment, tmp_path, monkeypatch):
    demo, activate, up, jupyter = blocks("sh")
    assert demo == "make demo\n"
    # In the environment that the tests run in, which is what `make` would make.
    subprocess.run(
        ["bash", "-ec", "beamline demo --out " + shlex.quote(str(tmp_path / "demo_output"))],
        check=True,
        timeout=DEADLINE_S,
    )
    for command, last in ((demo, "bin/beamline demo"), (jupyter, "bin/jupyter lab")):
        dry = [*shlex.split(command), "--dry-run", "--no-print-directory"]
        made = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True)
        assert made.stdout.splitlines()[-1].strip().endswith(last)
    shell = activate.replace(".venv/bin/activate", f"{sys.prefix}/bin/activate")
    subprocess.run(["bash", "-ec", shell], check=True, timeout=DEADLINE_S)

    measure, wait = blocks("py")
    patience = f"session.wait({DEADLINE_S})"  # for a machine that is slow
    waited, problems = wait.splitlines()[:2]
    checked = f"{measure}\n{patience}\nassert {waited}\nassert {problems} == []\n"
    session = checked + "print('measured', flush=True); input()\n"
    with child(
        [*shlex.split(up), "-c", session],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        deadline_s=2 * DEADLINE_S,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "measured" in line:
                break
        else:
            pytest.fail("the session ended before it had measured: " + "".join(said))
        monkeypatch.chdir(tmp_path)
        cells = [nbformat.v4.new_code_cell(text.strip()) for text in blocks("python")]
        notebook = nbformat.v4.new_notebook(cells=cells)
        NotebookClient(notebook, timeout=DEADLINE_S, kernel_name="python3").execute()
        process.stdin.write("\n")
        process.stdin.close()
        process.stdout.read()
        assert process.wait(DEADLINE_S) == 0
    first, plot, normalized, file, followed = [cell.outputs for cell in notebook.cells]
    assert "<XAFSRun Fe-K of 'Fe foil' transmission" in first[0].data["text/plain"]
    assert any("image/png" in output.get("data", {}) for output in plot)
    e0, step = normalized[0].text.removeprefix("E0 = ").split(" eV, edge step ")
    assert float(e0) == pytest.approx(7112.0, abs=1.0)
    assert float(step) > 0.5
    points = int(followed[0].text.split()[0])
    assert file[0].text.startswith(f"({points},) ")
    assert list(tmp_path.glob("*.nxs"))
