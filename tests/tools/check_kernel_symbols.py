#!/usr/bin/python3
"""The kernels of one instruction set export their table and nothing else: no weak symbol of theirs can
be linked into code for another machine. check_kernel_symbols.py OBJECT …"""
import subprocess
import sys

bad = []
for path in sys.argv[1:]:
    for line in subprocess.run(["nm", "-C", path], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        kind, name = line[17:18], line[19:]
        if kind in "WVuBDRT" and not name.endswith("Table"):
            bad.append(f"{path}: {kind} {name}")
print("\n".join(bad) or "every kernel object exports its table alone")
sys.exit(bool(bad))
