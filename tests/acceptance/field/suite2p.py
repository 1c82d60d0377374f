"""Suite2p's folders and plain calcium traces."""
import numpy as np

from field import Expect, case

RNG = np.random.default_rng(5)
SPKS = RNG.gamma(0.3, 20, (5, 40)).astype("f4")
F = (RNG.normal(100, 5, (5, 40))).astype("f4")
FNEU = (RNG.normal(80, 5, (5, 40))).astype("f4")
ISCELL = np.array([[1, 0.9], [0, 0.1], [1, 0.8], [1, 0.7], [0, 0.2]])
CELLS = [0, 2, 3]


def plane(folder, spks=SPKS, iscell=ISCELL, name="suite2p/plane0"):
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    frames = spks.shape[1]
    for file, array in (("spks", spks), ("F", F[:, :frames]), ("Fneu", FNEU[:, :frames]),
                        ("iscell", iscell)):
        if array is not None:
            np.save(path / f"{file}.npy", array)
    np.save(path / "ops.npy", {"fs": 30.0}, allow_pickle=True)
    np.save(path / "stat.npy", np.array([{"npix": 3}] * 5, object), allow_pickle=True)
    return folder


@case
def deconvolved(folder):
    """The cells' deconvolved traces; ids are their rows."""
    return Expect(path=plane(folder), sampling_rate=20, counts=SPKS[CELLS].T, source="suite2p",
                  columns={0: {"cell_probability": "0.9"}, 3: {"cell_probability": "0.7"}})


@case
def plane_itself(folder):
    """The folder plane0 is taken too."""
    return Expect(path=plane(folder) / "suite2p" / "plane0", sampling_rate=20,
                  counts=SPKS[CELLS].T)


@case
def without_a_rate(folder):
    """The frame rate is in a pickle, so it must be given."""
    return Expect(path=plane(folder), refused=("sampling_rate", "frame rate"))


@case
def impossible_rate(folder):
    """A frame rate below 0 is refused."""
    return Expect(path=plane(folder), sampling_rate=-20, refused=("sampling_rate", "frame rate"))


@case
def rate_and_width_that_disagree(folder):
    """A bin that is no frame is refused with both."""
    return Expect(path=plane(folder), sampling_rate=20, bin_width=0.1,
                  refused=("bin_width", "0.05 s"))


@case
def fluorescence(folder):
    """F by option."""
    return Expect(path=plane(folder), format="suite2p", sampling_rate=20, counts=F[CELLS].T,
                  options={"signal": "F"})


@case
def corrected(folder):
    """F minus 0.7 Fneu by option."""
    want = (F.astype(float) - 0.7 * FNEU.astype(float)).astype("f4")
    return Expect(path=plane(folder), format="suite2p", sampling_rate=20, counts=want[CELLS].T,
                  options={"signal": "corrected"})


@case
def unknown_signal(folder):
    """An unknown signal is refused with those there are."""
    return Expect(path=plane(folder), format="suite2p", sampling_rate=20,
                  options={"signal": "dff"}, refused=("options.signal", "spks"))


@case
def all_regions(folder):
    """Regions that are no cells by option, labelled."""
    return Expect(path=plane(folder), format="suite2p", sampling_rate=20, counts=SPKS.T,
                  options={"all_cells": "1"}, labels={0: "cell", 1: "not_cell"})


@case
def deconvolution_was_off(folder):
    """Zeros everywhere are refused with the choice of F."""
    return Expect(path=plane(folder, SPKS * 0), sampling_rate=20,
                  refused=("spks.npy", "signal=F"))


@case
def no_cells(folder):
    """A folder without cells is refused with the option."""
    return Expect(path=plane(folder, iscell=ISCELL * 0), sampling_rate=20,
                  refused=("iscell.npy", "all_cells=1"))


@case
def iscell_of_another_number(folder):
    """iscell.npy of another number of rows is refused with both."""
    return Expect(path=plane(folder, iscell=ISCELL[:4]), sampling_rate=20,
                  refused=("iscell.npy", "[5, 2]"))


@case
def two_planes(folder):
    """Planes side by side, the cells numbered anew; `combined` is not read twice."""
    plane(folder)
    plane(folder, SPKS * 2, name="suite2p/plane1")
    plane(folder, SPKS, name="suite2p/combined")
    return Expect(path=folder, sampling_rate=20,
                  counts=np.vstack([SPKS[CELLS], 2 * SPKS[CELLS]]).T,
                  columns={4: {"plane": "plane1", "original_id": "2"}}, warnings=["plane", "numbered"])


@case
def planes_of_one_frame_less(folder):
    """A volume that was cut leaves out its last frame, and it is said."""
    plane(folder)
    plane(folder, SPKS[:, :-1], name="suite2p/plane1")
    return Expect(path=folder, sampling_rate=20,
                  counts=np.vstack([SPKS[CELLS], SPKS[CELLS]]).T[:-1], warnings=["39 or 40 frames"])


@case
def planes_of_other_lengths(folder):
    """Planes of two recordings are refused."""
    plane(folder)
    plane(folder, SPKS[:, :20], name="suite2p/plane1")
    return Expect(path=folder, sampling_rate=20, refused=("plane1/spks.npy", "frames"))


@case
def a_frame_that_is_nan(folder):
    """A frame with a NaN was not observed."""
    spks = SPKS.copy()
    spks[2, 10] = np.nan
    want = np.nan_to_num(spks[CELLS].T)
    return Expect(path=plane(folder, spks), sampling_rate=10, counts=want,
                  observed=[(0, 1.0), (1.1, 4.0)], warnings=["1 frame", "unobserved"])


@case
def a_cell_that_is_nan(folder):
    """A cell that is NaN is left out, and it is said."""
    spks = SPKS.copy()
    spks[2] = np.nan
    return Expect(path=plane(folder, spks), sampling_rate=20, counts=spks[[0, 3]].T,
                  warnings=["1 cell", "left out"])


@case
def plain_traces(folder):
    """A matrix [frames, cells] with values below 0."""
    dff = F.T / 100 - 1
    np.save(folder / "dff.npy", dff)
    return Expect(path=folder / "dff.npy", sampling_rate=30, counts=dff)


@case
def plain_traces_turned(folder):
    """A matrix [cells, frames]."""
    np.save(folder / "x.npy", F - 100)
    return Expect(path=folder / "x.npy", format="traces", sampling_rate=30, counts=F.T - 100,
                  options={"transpose": "1"})


@case
def plain_traces_of_text(folder):
    """A table of traces with the frames' times."""
    rows = "".join(f"{i / 10}," + ",".join(f"{v:.3f}" for v in r) + "\n"
                   for i, r in enumerate(F.T - 100))
    (folder / "x.csv").write_text("time,a,b,c,d,e\n" + rows)
    return Expect(path=folder / "x.csv", format="traces", sampling_rate=10,
                  counts=np.round(F.T.astype(float) - 100, 3), columns={1: {"original_id": "b"}})


@case
def traces_without_a_rate(folder):
    """Traces without a frame rate are refused."""
    np.save(folder / "traces.npy", F.T)
    return Expect(path=folder / "traces.npy", refused=("sampling_rate", "frame rate"))
