"""A sidecar in one Python process, for tests: speaks docs/sdk-protocol.md, keeps one node's processes, and fails on demand."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python" / "src"))

from .faults import Faults  # noqa: E402
from .mesh import ClassSpec, Mesh  # noqa: E402
from .sidecar import Sidecar  # noqa: E402

__all__ = ["ClassSpec", "Faults", "Mesh", "Sidecar"]
