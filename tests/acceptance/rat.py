"""NLDisco's simulated rat, made with NumPy's own generators."""
import numpy as np

T, STEP = 60000, 0.01
CELLS = [(0.2, 0.05, 0.10, 10), (0.4, 0.10, 0.05, 28), (0.7, 0.14, 0.14, 20),
         (0.7, 0.06, 0.06, 20)]  # centre, left and right width (m), amplitude (Hz)


def field(cell, x):
    centre, left, right, amplitude = cell
    width = np.where(x < centre, left, right)
    return 0.1 + amplitude * np.exp(-0.5 * ((x - centre) / width) ** 2)


def rat():
    """Positions [samples] and spikes [units, samples] of 10 ms."""
    noise = np.random.default_rng(42).standard_normal(T - 1)
    x, v = np.empty(T), 0.0
    x[0] = 0.5
    for i in range(1, T):
        v = v * (1 - STEP) + 0.4 * np.sqrt(STEP) * noise[i - 1]
        p = x[i - 1] + v * STEP
        while not 0 <= p <= 1:
            p, v = (-p if p < 0 else 2 - p), -v
        x[i] = p
    rates = np.array([field(c, x) for c in CELLS])
    place = np.random.default_rng(123).random((4, T)) < rates * STEP
    constant = 1 + 4 * np.random.default_rng(0).random(96)
    rest = np.random.default_rng(456).random((96, T)) < constant[:, None] * STEP
    return x, np.vstack([place, rest])
