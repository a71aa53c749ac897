"""Random scores of windows and random detector settings, for the detector with keywords "go" and "stop"."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kwsd.models.bundle import DetectorSettings

random_scores = arrays(np.float32, st.tuples(st.integers(1, 80), st.just(4)), elements=st.floats(0, 1, width=32))
random_settings = st.builds(
    DetectorSettings,
    thresholds=st.fixed_dictionaries({"go": st.floats(0.05, 1), "stop": st.floats(0.05, 1)}),
    smoothing_windows=st.integers(1, 8),
    hits=st.integers(1, 5),
    refractory_s=st.floats(0, 3),
    rearm=st.floats(0.1, 1),
)
