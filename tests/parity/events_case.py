"""Events of made-up recordings: few and many, short and long, near to one another and not."""

import numpy as np

HOURS = 2


def cases():
    for seed in range(60):
        state = np.random.RandomState(seed)
        yield tuple(made(state, state.randint(0, 9), 20 + 60 * (seed % 10)) for _ in range(2))


def made(state, count, longest):
    """Whole seconds, none touching another, ``(count, 2)``."""
    begin = np.sort(state.choice(np.arange(100, 3600 * HOURS - 1000, 10), count, replace=False))
    end = begin + state.randint(1, longest, count)
    return np.stack([begin, np.minimum(end, np.append(begin[1:], 3600 * HOURS) - 1)], 1).astype(float)
