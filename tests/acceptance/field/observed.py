"""Time that was not observed is not silence."""
import h5py
import numpy as np
from field import Expect, case
from field.cleaning import nwb, steady, trials

TEXT = h5py.string_dtype()


def observe(file, spans_of_units):
    """obs_intervals, doubly indexed as the layout has it: [spans, 2] of one unit after another."""
    spans = [np.reshape(np.asarray(s, float), (-1, 2)) for s in spans_of_units]
    file["units/obs_intervals"] = np.concatenate(spans)
    file["units/obs_intervals_index"] = np.cumsum([len(s) for s in spans]).astype(np.uint32)
    del file["units"].attrs["colnames"]
    file["units"].attrs.create("colnames", ["spike_times", "obs_intervals"], dtype=TEXT)


def invalid(file, spans):
    group = file.create_group("intervals/invalid_times")
    group.attrs["neurodata_type"] = "TimeIntervals"
    group.attrs.create("colnames", ["start_time", "stop_time"], dtype=TEXT)
    group["id"] = np.arange(len(spans))
    group["start_time"] = np.array([a for a, _ in spans], float)
    group["stop_time"] = np.array([b for _, b in spans], float)


@case
def all_units_in_two_spans(folder):
    """Units that were all observed twice make the recording's observed time."""
    train = np.concatenate([steady(0, 5), steady(7, 9)])
    with nwb(folder / "a.nwb", {0: train, 1: train + 0.05}) as file:
        observe(file, [[(0, 5), (7, 9)]] * 2)
    return Expect(folder / "a.nwb", spikes={0: train, 1: train + 0.05}, observed=[(0, 5), (7, 9)])


@case
def a_gap_is_no_silence(folder):
    """400 s between two observed spans are no silence, so nothing is said of them."""
    train = np.concatenate([steady(0, 100), steady(500, 600)])
    with nwb(folder / "a.nwb", {0: train, 1: train + 0.05}) as file:
        observe(file, [[(0, 100), (500, 600)]] * 2)
    return Expect(folder / "a.nwb", observed=[(0, 100), (500, 600)], no_warnings=True)


@case
def the_same_without_observed_times(folder):
    """The same spikes without the spans are said to be silent for long."""
    train = np.concatenate([steady(0, 100), steady(500, 600)])
    nwb(folder / "a.nwb", {0: train, 1: train + 0.05}).close()
    return Expect(folder / "a.nwb", observed=[], warnings=["all are silent from 99.95 to 500 s"])


@case
def touching_spans(folder):
    """Spans that touch or overlap are one."""
    train = steady(0, 10)
    with nwb(folder / "a.nwb", {0: train, 1: train}) as file:
        observe(file, [[(0, 2), (2, 4), (3, 5), (7, 10)]] * 2)
    return Expect(folder / "a.nwb", observed=[(0, 5), (7, 10)])


@case
def observed_longer_than_the_spikes(folder):
    """The observed time says how long the recording lasts."""
    train = steady(0, 10)
    with nwb(folder / "a.nwb", {0: train, 1: train}) as file:
        observe(file, [[(0, 12)]] * 2)
    return Expect(folder / "a.nwb", observed=[(0, 12)], no_warnings=True)


@case
def invalid_times_are_left_out(folder):
    """Invalid times are holes in the observed time; the spikes in them stay."""
    train = steady(0, 10)
    with nwb(folder / "a.nwb", {0: train, 1: train + 0.05}) as file:
        invalid(file, [(2, 3), (5, 5.5)])
    end = np.nextafter((train + 0.05)[-1], np.inf)  # the last spike is in it
    return Expect(folder / "a.nwb", spikes={0: train, 1: train + 0.05},
                  observed=[(0, 2), (3, 5), (5.5, end)])


@case
def a_train_silent_for_a_known_reason(folder):
    """A long silence inside invalid times is not said."""
    train = np.concatenate([steady(0, 100), steady(500, 600)])
    with nwb(folder / "a.nwb", {0: train, 1: train + 0.05}) as file:
        invalid(file, [(100, 500)])
    return Expect(folder / "a.nwb", observed=[(0, 100), (500, np.nextafter((train + 0.05)[-1], np.inf))])


@case
def observed_all_the_time(folder):
    """A recording without gaps has no observed spans: it was observed all the time."""
    nwb(folder / "a.nwb", {0: steady(0, 10), 1: steady(0, 10)}).close()
    return Expect(folder / "a.nwb", observed=[], no_warnings=True)


@case
def a_table_does_not_widen_observed_time(folder):
    """A table that ends later than the observed time lengthens the recording, not what was seen."""
    train = steady(0, 10)
    with nwb(folder / "a.nwb", {0: train, 1: train}) as file:
        observe(file, [[(0, 10)]] * 2)
    return Expect(folder / "a.nwb", observed=[(0, 10)],
                  intervals={"trials": trials(folder, [(0, 5), (5, 11)])})
