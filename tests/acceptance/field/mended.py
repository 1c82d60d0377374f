"""What is mended in few words, and refused with --strict like all that is."""
import numpy as np

from field import Expect, case
from field.nwb import TRAINS, electrodes, new
from field.suite2p import CELLS, ISCELL, SPKS, plane


def latin(path):
    with new(path) as file:
        file["units/label"] = np.array([b"gr\xfcn", b"good"], dtype="S4")
        file["units/label"].attrs["neurodata_type"] = "VectorData"
        names = list(file["units"].attrs["colnames"])
        file["units"].attrs["colnames"] = [*names, "label"]
    return path


def no_electrode(path):
    with new(path) as file:
        electrodes(file, ["CA1", "CA3"])
        file["units/electrodes"] = np.array([1, -1])
    return path


@case
def texts_that_are_not_utf8(folder):
    """A label in Latin-1 is mended, and it is said."""
    return Expect(latin(folder / "a.nwb"), spikes=TRAINS, labels={3: "gr\ufffdn", 7: "good"},
                  warnings=["units/label: 1 text is not UTF-8"])


@case
def texts_that_are_not_utf8_strictly(folder):
    """With --strict it is refused."""
    return Expect(latin(folder / "a.nwb"), strict=True, refused=("units/label", "not UTF-8"))


@case
def electrode_minus_one(folder):
    """The electrode -1 is none of the table's, and it is said."""
    return Expect(no_electrode(folder / "a.nwb"), spikes=TRAINS, regions={3: "CA3", 7: ""},
                  warnings=["units/electrodes: 1 row beyond the electrodes table", "row -1 of unit 7"])


@case
def electrode_minus_one_strictly(folder):
    """With --strict it is refused."""
    return Expect(no_electrode(folder / "a.nwb"), strict=True, refused=("units/electrodes", "row -1"))


@case
def iscell_of_one_dimension(folder):
    """iscell.npy without probabilities is taken, and it is said."""
    return Expect(plane(folder, iscell=ISCELL[:, 0]), sampling_rate=20, counts=SPKS[CELLS].T,
                  warnings=["iscell.npy", "without probabilities"])


@case
def iscell_of_one_dimension_strictly(folder):
    """With --strict it is refused."""
    return Expect(plane(folder, iscell=ISCELL[:, 0]), sampling_rate=20, strict=True,
                  refused=("iscell.npy", "without probabilities"))
