"""Folders with what cannot be sent: it is said, and strict refuses it."""

import os

import numpy as np

from field import Expect, case

SPIKES = {0: np.arange(3) / 100}


def phy(folder):
    np.save(folder / "spike_times.npy", np.arange(3) * 100)
    np.save(folder / "spike_clusters.npy", np.zeros(3, "i4"))
    (folder / "params.py").write_text("sample_rate = 10000.\n")
    return folder


def left_out(folder, *words):
    return Expect(path=folder, spikes=SPIKES, warnings=["files: 1 " + w for w in words])


@case
def links_to_nowhere(folder):
    """Links to nowhere are left out and counted."""
    phy(folder)
    for name in ("gone", "lost"):
        (folder / name).symlink_to("/nowhere/at/all")
    return Expect(path=folder, spikes=SPIKES,
                  warnings=["files: 2 links to nowhere left out, the first is"])


@case
def link_to_nowhere_strictly(folder):
    """Strict refuses what was left out before it was sent."""
    (phy(folder) / "cluster_group.tsv").symlink_to("/nowhere/at/all")
    return Expect(path=folder, strict=True, refused=("files", "1 link to nowhere"))


@case
def link_out_of_the_folder(folder):
    """A link out of the folder is left out."""
    (phy(folder) / "cluster_group.tsv").symlink_to("/etc/passwd")
    return left_out(folder, "link out of the folder left out, the first is cluster_group.tsv")


@case
def link_within_the_folder(folder):
    """A link within the folder is followed."""
    phy(folder)
    (folder / "spike_times.npy").rename(folder / "times.npy")
    (folder / "spike_times.npy").symlink_to("times.npy")
    return Expect(path=folder, spikes=SPIKES)


@case
def link_to_a_folder(folder):
    """Links to folders are not walked into."""
    phy(folder)
    (folder / "raw").mkdir()
    (folder / "again").symlink_to("raw")
    return left_out(folder, "link to folders left out, the first is again")


@case
def fifo_in_the_folder(folder):
    """A FIFO is left out, and nobody waits for it."""
    os.mkfifo(phy(folder) / "cluster_group.tsv")
    return left_out(folder, "file without content (FIFO, socket, device) left out")


@case
def name_with_a_line_break(folder):
    """One impossible name does not refuse the rest."""
    (phy(folder) / "no\ntes.tsv").write_text("x")
    return left_out(folder, "file with control characters in the name left out, the first is no?")


@case
def name_in_latin_1(folder):
    """A name that is not UTF-8 is left out."""
    with open(os.fsencode(phy(folder)) + b"/m\xe4use.csv", "w") as f:
        f.write("x")
    return left_out(folder, "file with a name that is not UTF-8 left out")


@case
def name_of_230_bytes(folder):
    """A name that is longer than the server takes is left out."""
    (phy(folder) / ("x" * 230)).write_text("x")
    return left_out(folder, "file with a name that is too long left out")


@case
def names_that_are_wrong_strictly(folder):
    """Strict refuses all kinds at once."""
    (phy(folder) / "no\ntes.tsv").write_text("x")
    os.mkfifo(folder / "fifo")
    return Expect(path=folder, strict=True, refused=("files", "control characters"))
