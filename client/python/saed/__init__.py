"""saed: sparse autoencoders on neural recordings, from Python.

    import saed
    lab = saed.connect("127.0.0.1:7070")
    recording = lab.import_recording("session.nwb")   # or a folder; recording.warnings
    spikes = lab.spikes(recording.name)               # {unit id: times in s}
    job = lab.train(recording.name, bin_width=0.02, window=5, features=96, k=12, epochs=40)
    job = lab.wait(job)                               # shows how far it is
    for f in lab.list_features(job.dictionary, order_by="best_auroc desc", limit=10):
        print(f.latent, f.best_condition, f.best_test_auroc)
    codes = lab.encode(job.model, counts)             # counts: [windows, S, units]
    units = lab.list_units(recording, as_frame=True)  # a pandas.DataFrame

Arrays go in and come out as NumPy, tables as pandas where asked (as_frame=True, saed.frame());
where a call wants a name it also takes what another one returned. Enums are numbers in messages:
saed.state(job) is a word, and saed.to_dict(message) has words throughout. Errors are saed.Error with
the fields that were wrong, saed.Timeout where no answer came within timeout=, which every call takes.
"""

from saed.client import Client, Codes, Error, Series, Timeout, connect
from saed.frames import frame
from saed.splits import time_blocks, trials
from saed.words import state, to_dict

__all__ = ["Client", "Codes", "Error", "Series", "Timeout", "connect", "frame", "state",
           "time_blocks", "to_dict", "trials"]
