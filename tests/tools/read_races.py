#!/usr/bin/python3
"""Which reports of the thread sanitizer are about saed's own code.

    TSAN_OPTIONS=suppressions=tests/tools/races.supp integration_test 2>&1 | read_races.py

The libraries of gRPC and TBB are not instrumented: the sanitizer does not see that a request is handed
to the thread that serves it, or a task to the thread that runs it, and takes every byte of them for a
race. In a race of ours our code is what touched the memory on both sides, perhaps through the standard
library; those are printed, once for each pair of places, and the script then ends with 1.
"""
import collections
import re
import sys

FRAME = re.compile(r"^ +#\d+ (.*) (\S+) \(\S+\)$", re.M)
STANDARD = re.compile(r"/include/c\+\+/|libsanitizer|libstdc|libc\.so")
OURS = re.compile(r"(?:^|/)((?:server|storage)/\S+:\d+)$")
races, reports = collections.Counter(), 0
for report in re.split(r"^={18}$", sys.stdin.read(), flags=re.M):
    if "WARNING: ThreadSanitizer: data race" not in report:
        continue
    reports += 1
    # Two accesses; then come the places of the memory and of the threads' making.
    accesses = re.split(r"^  (?:Previous )?(?:atomic )?(?:read|write) of size.*$", report,
                        flags=re.M | re.I)[1:3]
    places = []
    for access in accesses:
        toucher = next(((function, place) for function, place
                        in FRAME.findall(access.split("\n\n")[0])
                        if not STANDARD.search(place)), ("", ""))
        ours = OURS.search(toucher[1])
        places.append(f"{ours[1]} {toucher[0][:80]}" if ours else None)
    if len(places) == 2 and all(places):
        races[tuple(sorted(places))] += 1
for pair, count in races.most_common():
    print(f"{count} x\n  {pair[0]}\n  {pair[1]}")
print(f"{len(races)} races of saed's own among {reports} reports")
sys.exit(1 if races else 0)
