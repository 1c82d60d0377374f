"""pynapple's .npz files, alone and in folders."""
import numpy as np

from field import Expect, case

TIMES = np.array([0.1, 0.25, 0.3, 0.5, 0.9, 1.4])
INDEX = np.array([3, 7, 3, 7, 7, 3])
SPIKES = {3: np.array([0.1, 0.3, 1.4]), 7: np.array([0.25, 0.5, 0.9])}


def ts_group(path, **more):
    arrays = {"type": np.array(["TsGroup"], dtype=np.str_), "t": TIMES, "index": INDEX,
              "keys": np.array([3, 7]), "start": np.array([0.0]), "end": np.array([2.0])} | more
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


@case
def group(folder):
    """A TsGroup."""
    return Expect(path=ts_group(folder / "units.npz"), spikes=SPIKES, observed=[(0, 2)],
                  source="pynapple", no_warnings=True)


@case
def group_with_a_pickle(folder):
    """What is pickled is left out, and it is said."""
    metadata = np.array({"rate": [1, 2]}, object)
    return Expect(path=ts_group(folder / "units.npz", _metadata=metadata), spikes=SPIKES,
                  warnings=["_metadata", "pickle"])


@case
def group_with_a_pickle_strictly(folder):
    """With --strict what is left out refuses."""
    metadata = np.array({"rate": [1, 2]}, object)
    return Expect(path=ts_group(folder / "units.npz", _metadata=metadata), strict=True,
                  refused=("_metadata", "pickle"))


@case
def group_of_an_older_pynapple(folder):
    """Older files keep what is known of the units as plain arrays."""
    path = ts_group(folder / "units.npz", rate=np.array([1.5, 2.5]), keys=None,
                    group=np.array([0, 1]), location=np.array(["adn", "ca1"]))
    return Expect(path=path, spikes=SPIKES,
                  columns={3: {"rate": "1.5", "location": "adn"}, 7: {"group": "1"}})


@case
def label_and_region(folder):
    """Columns called label and region are the units'."""
    path = ts_group(folder / "units.npz", label=np.array(["good", "mua"]),
                    region=np.array(["adn", "ca1"]), depth=np.array([10.0, 20.0]))
    return Expect(path=path, spikes=SPIKES, labels={3: "good", 7: "mua"}, regions={7: "ca1"},
                  depths={3: 10})


@case
def keys_in_another_order(folder):
    """Columns follow their keys."""
    path = ts_group(folder / "units.npz", keys=np.array([7, 3]), rate=np.array([7.5, 3.5]))
    return Expect(path=path, spikes=SPIKES, columns={3: {"rate": "3.5"}, 7: {"rate": "7.5"}})


@case
def unit_without_spikes(folder):
    """A key without spikes is a unit."""
    return Expect(path=ts_group(folder / "units.npz", keys=np.array([3, 5, 7])),
                  spikes=SPIKES | {5: np.array([])})


@case
def spikes_without_a_key(folder):
    """Spikes of no key are dropped, and it is said."""
    return Expect(path=ts_group(folder / "units.npz", keys=np.array([3])), spikes={3: SPIKES[3]},
                  warnings=["units.npz[index]", "3 spikes"])


@case
def time_support_in_pieces(folder):
    """The time support is the observed time."""
    path = ts_group(folder / "units.npz", start=np.array([0.0, 0.8]), end=np.array([0.6, 2.0]))
    return Expect(path=path, spikes=SPIKES, observed=[(0, 0.6), (0.8, 2)])


@case
def values_of_spikes(folder):
    """Values of the spikes are left out, and it is said."""
    return Expect(path=ts_group(folder / "units.npz", d=TIMES * 2), spikes=SPIKES,
                  warnings=["units.npz[d]", "left out"])


@case
def group_of_two_lengths(folder):
    """t and index of two lengths are refused with both."""
    return Expect(path=ts_group(folder / "units.npz", index=INDEX[:4]),
                  refused=("units.npz[index]", "must be as many"))


@case
def folder_of_objects(folder):
    """A folder with spikes, epochs, position and licks."""
    ts_group(folder / "units.npz")
    np.savez(folder / "epochs.npz", type=np.array(["IntervalSet"]), start=np.array([0.0, 1.0]),
             end=np.array([1.0, 2.0]), tag=np.array(["wake", "sleep"]))
    t = np.array([0.0, 0.5, 1.0])
    np.savez(folder / "position.npz", type=np.array(["TsdFrame"]), t=t, start=np.array([0.0]),
             end=np.array([1.0]), d=np.arange(6.0).reshape(3, 2), columns=np.array(["x", "y"]))
    np.savez(folder / "speed.npz", type=np.array(["Tsd"]), t=t, d=np.array([1, 2, 3]),
             start=np.array([0.0]), end=np.array([1.0]))
    np.savez(folder / "licks.npz", type=np.array(["Ts"]), t=t, start=np.array([0.0]),
             end=np.array([1.0]))
    return Expect(path=folder, spikes=SPIKES,
                  tables={"epochs": {"start_time": [0, 1], "stop_time": [1, 2],
                                     "tag": ["wake", "sleep"]},
                          "licks": {"start_time": [0, 0.5, 1], "stop_time": [0, 0.5, 1]}},
                  series={"position": (t, np.arange(6.0).reshape(3, 2)),
                          "speed": (t, np.array([[1], [2], [3]]))})


@case
def tensor_beside_the_spikes(folder):
    """An object of more dimensions is left out, and it is said."""
    ts_group(folder / "units.npz")
    np.savez(folder / "movie.npz", t=np.arange(2.0), d=np.zeros((2, 3, 4)), start=np.array([0.0]),
             end=np.array([1.0]))
    return Expect(path=folder, spikes=SPIKES, warnings=["movie.npz", "[2, 3, 4]"])


@case
def two_groups(folder):
    """Two TsGroups are refused with the choices."""
    ts_group(folder / "a.npz")
    ts_group(folder / "b.npz")
    return Expect(path=folder, refused=("options.spikes", "a.npz, b.npz"))


@case
def one_of_two_groups(folder):
    """One of two TsGroups, by option."""
    ts_group(folder / "a.npz")
    ts_group(folder / "b.npz", t=TIMES + 0.01)
    return Expect(path=folder, format="pynapple", options={"spikes": "a.npz"}, spikes=SPIKES,
                  warnings=["b.npz", "left out"])


@case
def tsd_alone(folder):
    """A Tsd alone has no spikes: refused with what is needed."""
    np.savez(folder / "speed.npz", t=TIMES, d=TIMES, start=np.array([0.0]), end=np.array([2.0]))
    return Expect(path=folder / "speed.npz", refused=("files", "TsGroup"))


@case
def intervals_alone(folder):
    """An IntervalSet alone likewise."""
    np.savez(folder / "epochs.npz", start=np.array([0.0]), end=np.array([2.0]))
    return Expect(path=folder / "epochs.npz", format="pynapple", refused=("files", "an IntervalSet"))


@case
def support_before_zero(folder):
    """A time support that begins before 0 is cut there."""
    path = ts_group(folder / "units.npz", start=np.array([-1.0]), end=np.array([2.0]))
    return Expect(path=path, spikes=SPIKES, observed=[(0, 2)])


@case
def pickled_spikes(folder):
    """Spikes that are pickled are refused."""
    path = ts_group(folder / "units.npz", t=np.array([1.5, None], object))
    return Expect(path=path, refused=("units.npz[t]", "pickle"))


@case
def encrypted(folder):
    """An .npz whose members are said to be encrypted is refused."""
    path = ts_group(folder / "units.npz")
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        place = data.find(mark)
        while place >= 0:
            data[place + at] |= 1
            place = data.find(mark, place + 4)
    path.write_bytes(data)
    return Expect(path=path, format="pynapple", refused=("units.npz", "encrypted"))


@case
def bomb(folder):
    """An array of 200 MB of zeros in 200 kB is refused before it is unpacked."""
    np.savez_compressed(folder / "units.npz", t=np.zeros(25_000_000), index=np.zeros(3, int),
                        start=np.zeros(1), end=np.ones(1))
    return Expect(path=folder / "units.npz", format="pynapple",
                  refused=("units.npz[t]", "unpacked from"))


@case
def damaged(folder):
    """A byte that changed is found by the checksum."""
    path = ts_group(folder / "units.npz")
    data = bytearray(path.read_bytes())
    place = data.find(TIMES.tobytes())
    data[place + 1] ^= 1
    path.write_bytes(data)
    return Expect(path=path, refused=("units.npz[t]", "checksum"))
