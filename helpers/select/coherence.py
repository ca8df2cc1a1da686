"""Do a topic's words keep company? NPMI over the documents of a reference corpus."""

import numpy as np
from scipy import sparse


def mean_npmi(topics: np.ndarray, counts: sparse.csr_matrix) -> float:
    """Mean normalised pointwise mutual information over all topics and pairs of their words, in [-1, 1].

    topics: [t, w] word numbers. counts: reference documents x words, any counts.
    NPMI_ij = [log N + log c_ij - log c_i - log c_j] / [log N - log c_ij] with document counts c. As in the
    authors' code a pair that is always and only together (exactly 1) counts 0; so does a pair never together.
    """
    used, places = np.unique(topics, return_inverse=True)
    places = places.reshape(topics.shape)
    present = counts[:, used].tocsr()
    present.data = np.ones(len(present.data), np.float64)
    together = (present.T @ present).toarray()
    single = np.diag(together)
    log_n = np.log(max(1, counts.shape[0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        top = log_n + np.log(together) - np.log(single)[:, None] - np.log(single)[None, :]
        npmi = top / (log_n - np.log(together))
    npmi[(together == 0) | ~np.isfinite(npmi) | np.isclose(npmi, 1, rtol=0, atol=1e-12)] = 0
    first, second = np.triu_indices(topics.shape[1], k=1)
    if len(first) == 0:
        return 0.0
    return float(npmi[places[:, first], places[:, second]].mean())
