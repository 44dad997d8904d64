"""A digest of the C sources of the core, which detects a core built from other sources.

`setup.py` runs this file by its path before the package can be imported, so it uses the standard library only.
"""

import hashlib
from pathlib import Path


def digest_of(folder: Path) -> str:
    """The SHA-256 of the sources and headers in the `tflite` folder `folder`, in hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(path for part in ("include", "kernels", "adapters") for path in (folder / part).rglob("*.[ch]")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
