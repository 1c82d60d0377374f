"""Text tables: intervals, series and columns of units, as spreadsheets, pandas, R and BIDS write them."""
import numpy as np

from field import Expect, case

RATE = 1000


def sorting(folder):
    """A Kilosort folder of two units, 3 and 7, over 8 s."""
    path = folder / "ks"
    path.mkdir()
    samples = np.arange(0, 8 * RATE, RATE // 4) + 10
    clusters = np.where(np.arange(len(samples)) % 3 == 0, 7, 3)
    np.save(path / "spike_times.npy", samples)
    np.save(path / "spike_clusters.npy", clusters)
    (path / "params.py").write_text(f"sample_rate = {RATE}.\n")
    return path


def trials(folder, text, encoding="utf-8", **expect):
    file = folder / "trials.csv"
    file.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return Expect(path=sorting(folder), intervals={"trials": file}, **expect)


def series(folder, text, **expect):
    file = folder / "run.csv"
    file.write_bytes(text.encode())
    return Expect(path=sorting(folder), series_files={"run": file}, **expect)


def units(folder, text, **expect):
    file = folder / "units.csv"
    file.write_bytes(text.encode())
    return Expect(path=sorting(folder), units_file=file, **expect)


SIDES = {"trials": {"start_time": [1, 3], "stop_time": [2, 4], "side": ["left", "right"]}}


@case
def two_empty_cells(folder):
    """A numeric column with two empty cells stays numeric."""
    return trials(folder, "start_time,stop_time,rt\n1,2,0.5\n3,4,\n5,6,10\n7,8,\n", no_warnings=True,
                  tables={"trials": {"start_time": [1, 3, 5, 7], "rt": [0.5, None, 10, None]}})


@case
def every_spelling_of_missing(folder):
    """Missing cells in every spelling are missing."""
    cells = ["1", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A", "", "2"]
    rows = "".join(f"{i},{i + 0.5},{c}\n" for i, c in enumerate(cells))
    return trials(folder, "start_time,stop_time,x\n" + rows, no_warnings=True,
                  tables={"trials": {"x": [1] + [None] * 11 + [2]}})


@case
def none_is_a_word(folder):
    """A stimulus called none is one."""
    return trials(folder, "start_time,stop_time,stimulus\n1,2,none\n3,4,left\n", no_warnings=True,
                  tables={"trials": {"stimulus": ["none", "left"]}})


@case
def pandas_index(folder):
    """df.to_csv() with its index: the count of rows is left out."""
    return trials(folder, ",start_time,stop_time,side\n0,1,2,left\n1,3,4,right\n", tables=SIDES,
                  warnings=["trials", "only counts the rows"])


@case
def pandas_index_with_meaning(folder):
    """An index that is no count is a column."""
    return trials(folder, ",start_time,stop_time\n17,1,2\n4,3,4\n",
                  tables={"trials": {"index": [17, 4], "start_time": [1, 3]}})


@case
def semicolons_and_decimal_commas(folder):
    """df.to_csv(sep=";", decimal=",")."""
    return trials(folder, "start_time;stop_time;rt;n\n1,25;2,5;0,125;3\n3,5;4,75;;4\n", no_warnings=True,
                  tables={"trials": {"start_time": [1.25, 3.5], "stop_time": [2.5, 4.75],
                                     "rt": [0.125, None], "n": [3, 4]}})


@case
def semicolons_and_points(folder):
    """Semicolons with decimal points; commas are text there."""
    return trials(folder, "start_time;stop_time;tags\n1.5;2;1,2\n3.5;4;3,4\n",
                  tables={"trials": {"start_time": [1.5, 3.5], "tags": ["1,2", "3,4"]}})


@case
def tabs(folder):
    """Tabs between cells."""
    return trials(folder, "start_time\tstop_time\tside\n1\t2\tleft\n3\t4\tright\n", tables=SIDES,
                  no_warnings=True)


@case
def byte_order_mark(folder):
    """UTF-8 with a byte order mark, lines in CR LF."""
    return trials(folder, "start_time,stop_time,side\r\n1,2,left\r\n3,4,right\r\n", encoding="utf-8-sig",
                  tables=SIDES, no_warnings=True)


@case
def utf16(folder):
    """UTF-16 with its mark, tabs, as a spreadsheet's Unicode text."""
    return trials(folder, "start_time\tstop_time\tside\r\n1\t2\tleft\r\n3\t4\tright\r\n",
                  encoding="utf-16", tables=SIDES, no_warnings=True)


@case
def utf16_big_without_mark(folder):
    """UTF-16, big-endian, without a mark."""
    return trials(folder, "start_time,stop_time,side\n1,2,left\n3,4,right\n", encoding="utf-16-be",
                  tables=SIDES, no_warnings=True)


@case
def latin1(folder):
    """Latin-1 letters, which is said."""
    return trials(folder, "start_time,stop_time,who\n1,2,Müller\n3,4,5 µm\n", encoding="latin-1",
                  tables={"trials": {"who": ["Müller", "5 µm"]}}, warnings=["not UTF-8"])


@case
def cr_only(folder):
    """Lines that end in CR alone."""
    return trials(folder, "start_time,stop_time,side\r1,2,left\r3,4,right\r", tables=SIDES,
                  no_warnings=True)


@case
def comments_and_blank_lines(folder):
    """Comment lines before the header, blank lines, a # inside a cell."""
    return trials(folder, "# made on Monday\n% by hand\n\nstart_time,stop_time,side\n1,2,left # 1\n\n3,4,right\n",
                  tables={"trials": {"side": ["left # 1", "right"]}}, no_warnings=True)


@case
def comments_among_rows(folder):
    """A row behind a # is a comment, which is said."""
    return trials(folder, "start_time,stop_time\n1,2\n#3,4\n5,6\n",
                  tables={"trials": {"start_time": [1, 5]}}, warnings=["comments", "line 3"])


@case
def savetxt(folder):
    """np.savetxt with a header, which stands behind a #."""
    np.savetxt(folder / "trials.csv", [[1, 2, 5], [3, 4, 6]], delimiter=",",
               header="start_time,stop_time,k")
    return Expect(path=sorting(folder), intervals={"trials": folder / "trials.csv"}, no_warnings=True,
                  tables={"trials": {"start_time": [1, 3], "stop_time": [2, 4], "k": [5, 6]}})


@case
def quoted_cells(folder):
    """Separators, quotes and line ends inside quotes."""
    return trials(folder, '"start_time","stop_time","note"\n1,2,"a, ""b""\nc"\n3,4,"d"\n',
                  tables={"trials": {"note": ['a, "b"\nc', "d"]}}, no_warnings=True)


@case
def short_and_long_rows(folder):
    """Short rows are filled up, long ones dropped, both are said."""
    return trials(folder, "start_time,stop_time,rt\n1,2,0.5\n3,4\n5,6,7,8\n9,10,0.25\n",
                  tables={"trials": {"start_time": [1, 3, 9], "rt": [0.5, None, 0.25]}},
                  warnings=["1 row filled up", "line 3", "1 row dropped", "line 4"])


@case
def column_names_twice(folder):
    """Names that come twice or are empty are renamed."""
    return trials(folder, "start_time,stop_time,k,k,\n1,2,3,4,5\n3,4,5,6,7\n",
                  tables={"trials": {"k": [3, 5], "k_2": [4, 6], "column_5": [5, 7]}},
                  warnings=["k_2", "column_5"])


@case
def thousands_separators(folder):
    """"1,234" is not understood: the column is one of words, and it is said."""
    return trials(folder, 'start_time,stop_time,n\n1,2,"1,234"\n3,4,5\n5,6,6\n',
                  tables={"trials": {"n": ["1,234", "5", "6"]}}, warnings=["'1,234' in line 2"])


@case
def booleans_are_words(folder):
    """True and False stay words."""
    return trials(folder, "start_time,stop_time,hit\n1,2,True\n3,4,False\n", no_warnings=True,
                  tables={"trials": {"hit": ["True", "False"]}})


@case
def bids_events(folder):
    """BIDS: onset, duration, n/a."""
    (folder / "events.tsv").write_text("onset\tduration\ttrial_type\n1.5\t0.5\tgo\n3\tn/a\tstop\n")
    return Expect(path=sorting(folder), intervals={"events": folder / "events.tsv"},
                  tables={"events": {"start_time": [1.5, 3], "stop_time": [2, 3],
                                     "trial_type": ["go", "stop"]}},
                  warnings=["'onset' is taken as start_time", "1 missing duration taken as 0"])


@case
def other_names_of_times(folder):
    """t_start and t_stop."""
    return trials(folder, "t_start,t_stop\n1,2\n3,4\n", warnings=["t_start", "t_stop"],
                  tables={"trials": {"start_time": [1, 3], "stop_time": [2, 4]}})


@case
def moments(folder):
    """A list of events with a time only."""
    return trials(folder, "time,code\n1.5,3\n7,4\n", warnings=["moments"],
                  tables={"trials": {"start_time": [1.5, 7], "stop_time": [1.5, 7], "code": [3, 4]}})


@case
def milliseconds(folder):
    """Columns in milliseconds are refused by name."""
    return trials(folder, "start_ms,stop_ms\n1000,2000\n", refused=("trials", "milliseconds"))


@case
def two_starts(folder):
    """Two columns that could be the start."""
    return trials(folder, "start,onset,stop\n1,1,2\n", refused=("trials", "both could be start_time"))


@case
def no_times(folder):
    """No times at all: the columns that are there are told."""
    return trials(folder, "a,b\n1,2\n", refused=("trials", "it has a, b"))


@case
def no_stops(folder):
    """Starts without stops."""
    return trials(folder, "start_time,side\n1,left\n", refused=("trials", "stop_time or duration"))


@case
def a_stop_is_missing(folder):
    """A NaN stop of a row that is not the last would be a guess: the row is dropped."""
    return trials(folder, "start_time,stop_time\n1,5\n11,15\n21,nan\n99,99.5\n50,60\n",
                  tables={"trials": {"start_time": [1, 11, 99, 50], "stop_time": [5, 15, 99.5, 60]}},
                  warnings=["trials", "1 row dropped", "line 4"])


@case
def the_last_stop_is_missing(folder):
    """A NaN stop of the last row is the end of the recording."""
    return trials(folder, "start_time,stop_time\n1,2\n3,4\n5,7.9\n6,nan\n",
                  tables={"trials": {"start_time": [1, 3, 5, 6], "stop_time": [2, 4, 7.9, 7.9]}},
                  warnings=["without a stop", "end of the recording"])


@case
def bad_rows(folder):
    """Rows without a start, or that stop before, are dropped."""
    return trials(folder, "start_time,stop_time,k\n1,2,a\n,4,b\n6,5,c\n7,8,d\n",
                  tables={"trials": {"start_time": [1, 7], "k": ["a", "d"]}},
                  warnings=["trials", "2 rows dropped", "line 3"])


@case
def bad_rows_strict(folder):
    """The same, strict: refused, naming the same."""
    return trials(folder, "start_time,stop_time\n1,2\n,4\n", strict=True, refused=("trials", "line 3"))


@case
def no_row_left(folder):
    """A table of which no row is left is left out."""
    return trials(folder, "start_time,stop_time\n2,1\n", tables={}, warnings=["trials", "no row"])


@case
def a_time_that_is_no_number(folder):
    """One time that is not understood costs its row."""
    return trials(folder, "start_time,stop_time\n1,2\n1_000,4\n5,6\n",
                  tables={"trials": {"start_time": [1, 5]}}, warnings=["'1_000' in line 3"])


@case
def words_for_times(folder):
    """Times that are words are refused with the line."""
    return trials(folder, "start_time,stop_time\nsoon,2\nlate,4\n", refused=("trials", "line 2"))


@case
def no_header(folder):
    """A table without a header."""
    return trials(folder, "1,2\n3,4\n", refused=("trials", "no header"))


@case
def series_with_gaps(folder):
    """A series with missing values and a column of words."""
    return series(folder, "time,x,who,y\n0,1,a,5\n0.5,,b,6\n1,3,c,n/a\n",
                  series={"run": (np.array([0, 0.5, 1]), np.array([[1, 5], [np.nan, 6], [3, np.nan]]))},
                  warnings=["run", "'who' left out"])


@case
def series_of_a_data_frame(folder):
    """A series with a pandas index."""
    return series(folder, ",timestamps,speed\n0,0.5,1\n1,1.5,2\n", warnings=["only counts the rows"],
                  series={"run": (np.array([0.5, 1.5]), np.array([[1], [2]]))})


@case
def series_in_milliseconds(folder):
    """A series whose times are called ms."""
    return series(folder, "time_ms,x\n0,1\n10,2\n", refused=("run", "milliseconds"))


@case
def series_with_a_backward_time(folder):
    """A sample with a NaN or backward time is dropped."""
    return series(folder, "time,x\n0,1\n1,2\n2,3\n0.5,4\n,5\n3,6\n", warnings=["run", "2 samples dropped"],
                  series={"run": (np.array([0, 1, 2, 3]), np.array([[1], [2], [3], [6]]))})


@case
def columns_of_units(folder):
    """Columns of units by id: region, label, depth and others."""
    return units(folder, "cluster_id,brain_area,quality,depth,snr\n7,VISp,good,120,2.5\n3,CA1,mua,80.5,\n",
                 regions={3: "CA1", 7: "VISp"}, labels={3: "mua", 7: "good"}, depths={3: 80.5, 7: 120},
                 columns={7: {"snr": "2.5"}}, no_warnings=True)


@case
def columns_of_some_units(folder):
    """Rows without an id, units without a row and units without spikes are said."""
    return units(folder, "unit_id,region\n7,VISp\n99,CA1\n,LP\n",
                 regions={3: "", 7: "VISp", 99: "CA1"},
                 warnings=["without an id", "no spikes and are taken as silent, the first is in "
                           "line 3", "1 of 3 units have no row"])


@case
def columns_of_units_by_index(folder):
    """A data frame whose index are the ids."""
    return units(folder, ",acronym\n3,CA1\n7,VISp\n", regions={3: "CA1", 7: "VISp"})


@case
def columns_without_ids(folder):
    """A table of units without ids is refused."""
    return units(folder, "name,area\na,b\n", refused=("units", "must be called id"))
