"""Numbers that a double, a float or a recording cannot hold: said, and refused by strict."""
import numpy as np
from scipy.io import savemat

from field import Expect, case


def counts(folder, array, **more):
    np.savez(folder / "c.npz", counts=array, **more)
    return folder / "c.npz"


def cells(*trains):
    out = np.empty((1, len(trains)), dtype=object)
    for i, train in enumerate(trains):
        out[0, i] = np.atleast_2d(train)
    return out


@case
def the_largest_count(folder):
    """A count of 2^64 - 1 is rounded to a float, and that is said."""
    np.save(folder / "counts.npy", np.array([[2**64 - 1, 1], [0, 2]], dtype="u8"))
    return Expect(folder / "counts.npy", bin_width=1,
                  counts=np.array([[2.0**64, 1], [0, 2]], np.float32),
                  warnings=["1 count above 2^24 rounded"])


@case
def the_largest_count_strictly(folder):
    """Strict refuses it."""
    np.save(folder / "counts.npy", np.array([[2**64 - 1, 1]], dtype="u8"))
    return Expect(folder / "counts.npy", bin_width=1, strict=True,
                  refused=("counts.npy", "above 2^24"))


@case
def a_huge_count(folder):
    """A count of 1e30 makes no negative total."""
    np.save(folder / "counts.npy", np.array([[1e30, 1], [0, 2]]))
    return Expect(folder / "counts.npy", bin_width=1,
                  counts=np.array([[1e30, 1], [0, 2]], np.float32),
                  warnings=["1 count above 2^24 rounded"])


@case
def bin_starts_beside_counts(folder):
    """Times of bins that nobody asked for are said, with the option that takes them."""
    path = counts(folder, np.array([[1, 2], [3, 4], [5, 6]]),
                  bin_start_time=np.array([0, 0.1, 100.0]))
    return Expect(path, bin_width=0.1, counts=np.array([[1, 2], [3, 4], [5, 6]]),
                  warnings=["bin_start_time", "bin_starts=bin_start_time"])


@case
def bin_starts_beside_counts_strictly(folder):
    """Strict refuses to pass them over."""
    path = counts(folder, np.array([[1, 2], [3, 4], [5, 6]]),
                  bin_start_time=np.array([0, 0.1, 100.0]))
    return Expect(path, bin_width=0.1, strict=True, refused=("c.npz", "bin_start_time"))


@case
def bin_starts_in_a_file_beside(folder):
    """The same of a file beside counts.npy."""
    np.save(folder / "counts.npy", np.array([[1, 2], [3, 4], [5, 6]]))
    np.save(folder / "bin_start_time.npy", np.array([0, 0.1, 100.0]))
    return Expect(folder, bin_width=0.1, format="counts",
                  counts=np.array([[1, 2], [3, 4], [5, 6]]), warnings=["bin_start_time.npy"])


@case
def no_sampling_rate(folder):
    """A sampling rate that no recording has is refused with the range."""
    np.savez(folder / "s.npz", spike_times=np.array([1, 2, 3]), spike_clusters=np.array([1, 2, 1]))
    return Expect(folder / "s.npz", sampling_rate=1e-300,
                  refused=("sampling_rate", "must be from 1 to 10000000 Hz"))


@case
def no_bin_width(folder):
    """So is the width of a bin."""
    np.save(folder / "counts.npy", np.array([[1, 2], [3, 4]]))
    return Expect(folder / "counts.npy", bin_width=1e300, refused=("bin_width", "must be"))


@case
def slow_frames(folder):
    """Frames may be slower than samples."""
    np.save(folder / "F.npy", np.array([[0.5, 1.5], [2.5, -1.0]]))
    return Expect(folder / "F.npy", format="traces", sampling_rate=0.01,
                  counts=np.array([[0.5, 1.5], [2.5, -1.0]], np.float32))


@case
def ids_of_64_bits_in_matlab(folder):
    """Ids that differ in their last bit stay apart."""
    savemat(folder / "m.mat", {"st": cells([0.5, 1.5], [0.25]),
                               "uid": np.array([[2**53 + 1, 2**53]], dtype="i8")})
    return Expect(folder / "m.mat", options={"spike_times": "st", "unit_ids": "uid"},
                  spikes={2**53 + 1: np.array([0.5, 1.5]), 2**53: np.array([0.25])})


@case
def times_of_64_bits_in_matlab(folder):
    """Samples above 2^53 are rounded, which strict refuses."""
    savemat(folder / "m.mat", {"st": cells(np.array([1, 2**53 + 1], "u8"), np.array([5], "u8"))})
    return Expect(folder / "m.mat", strict=True, sampling_rate=1,
                  options={"spike_times": "st", "time_unit": "samples"},
                  refused=("st", "1 number above 2^53 rounded"))
