"""Checks who includes whom, and that the build's links say the same.

    check_includes.py SOURCE_DIR
"""

import pathlib
import re
import sys

# Module -> modules it may include, besides itself. `base` (errors, text, hashes, plain types) is
# for everyone.
ALLOWED = {
    "server/base": set(),
    "server/sae": set(),
    "server/recordings": set(),
    "server/features": {"server/sae", "server/recordings"},
    "storage": set(),
    "server/inference": {"server/sae", "storage"},
    "server/jobs": {"server/sae", "server/recordings", "server/features", "storage",
                    "server/inference"},
    "server/observability": set(),
    "server/report": {"server/sae", "server/recordings", "server/features", "storage",
                      "server/inference", "server/jobs"},
    "server/rpc": {"proto", "server/report", "server/sae", "server/recordings", "server/features", "storage",
                   "server/jobs", "server/inference", "server/observability"},
    "server/http": {"proto", "server/observability"},
    "server/daemon": {"server/sae", "server/recordings", "server/rpc", "server/http", "server/jobs", "server/inference",
                      "server/observability", "storage"},
    "client": {"proto"},
}


def module_of(path):
    """The module of a file or of an included path; None for what is not ours."""
    if path.startswith(("saed/v1/", "google/rpc/")):
        return "proto"
    if path in ("server/main.cpp", "server/daemon.h", "server/daemon.cc", "server/housekeeping.h",
                "server/housekeeping.cc"):
        return "server/daemon"
    for module in ALLOWED:
        if path.startswith(module + "/"):
            return module
    return None


def wrong_includes(root):
    files = [p for top in ("server", "storage", "client") for p in (root / top).rglob("*")
             if p.suffix in (".h", ".cc", ".cpp")]
    for path in sorted(files):
        name = str(path.relative_to(root))
        module = module_of(name)
        if module is None:
            yield f"{name} belongs to no module"
            continue
        for included in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
            target = module_of(included)
            if included.startswith(("absl/", "google/protobuf/")):
                continue
            if target is None:
                yield f"{name} includes {included}, which belongs to no module"
            elif target not in ALLOWED[module] | {module, "server/base"}:
                yield f"{name} includes {included}: {module} may not use {target}"


def wrong_links(root):
    for path in sorted([*root.glob("server/*/CMakeLists.txt"), root / "storage/CMakeLists.txt"]):
        module = str(path.parent.relative_to(root))
        if module not in ALLOWED:
            continue
        for library in set(re.findall(r"\bsaed_(\w+)", path.read_text())):
            target = {"storage": "storage", "proto": "proto"}.get(library, "server/" + library)
            if target in ("server/library", "server/warnings", "server/unity", module):
                continue
            if target not in ALLOWED[module] | {"server/base"}:
                yield f"{path.relative_to(root)} links saed_{library}: {module} may not use it"


def main():
    root = pathlib.Path(sys.argv[1])
    faults = [*wrong_includes(root), *wrong_links(root)]
    print("\n".join(faults) or "every include and link is allowed")
    sys.exit(1 if faults else 0)


main()
