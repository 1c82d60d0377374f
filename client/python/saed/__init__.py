"""saed: sparse autoencoders on neural recordings, from Python.

    import saed
    lab = saed.connect("127.0.0.1:7070")
    recording = lab.import_recording("session.nwb")   # or a folder; recording.warnings
    spikes = lab.spikes(recording.name)               # {unit id: times in s}
    job = lab.train(recording.name, bin_width=0.02, window=5, features=96, k=12, epochs=40)
    for p in lab.watch(job.name):
        print(p.stage, p.step, p.reconstruction_loss)
    job = lab.wait(job.name)
    for f in lab.list_features(job.dictionary, order_by="best_auroc desc", limit=10):
        print(f.latent, f.best_condition, f.best_test_auroc)
    codes = lab.encode(job.model, counts)        # counts: [windows, S, units]

Arrays go in and come out as NumPy; errors are saed.Error with the fields that were wrong.
"""

from saed.client import Client, Codes, Error, Series, connect
from saed.splits import time_blocks, trials

__all__ = ["Client", "Codes", "Error", "Series", "connect", "time_blocks", "trials"]
