r"""One component: formulas in its spectral form.

The covariance is \(b (I - U U^T) + U \operatorname{diag}(\lambda) U^T\) with orthonormal
columns U (d, r); `base` is b and `spectrum` is \(\lambda\).
"""

import functools

import jax
import jax.numpy as jnp

from . import products

LOG_2PI = 1.8378770664093453
_FEW, _FEW_PAIRS = 16, 64


def log_joint(x, log_weights, means, base, basis, spectrum):
    """log weight_k + log N(x; mean_k, covariance_k), (K,)."""
    heights = log_weights + log_heights(means.shape[1], base, spectrum)
    return heights + exponents(x, means, base, basis, spectrum)


def log_heights(dim, base, spectrum):
    """log N(mean; mean, covariance) of every component, (K,)."""
    rank = spectrum.shape[1]
    size = dim * LOG_2PI + jnp.sum(jnp.log(spectrum), axis=1)
    if rank < dim:  # base is meaningless when the basis is complete
        size = size + (dim - rank) * jnp.log(base)
    return -0.5 * size


def exponents(x, means, base, basis, spectrum):
    """-(x - mean)^T covariance^{-1} (x - mean) / 2 of every component, (K,)."""
    dim, rank = basis.shape[1:]
    if rank == 0:
        return -0.5 * _isotropic(x, means, base)
    if projects(basis, means.shape[0]):
        x, means = _centred(x, means)
        quadratic = _quadratic(x @ basis[0], means @ basis[0], 1.0 / spectrum)
        if rank < dim:
            outside, others = (v - v @ basis[0] @ basis[0].T for v in (x, means))
            quadratic = quadratic + _isotropic(outside, others, base)
        return -0.5 * quadratic

    def one(mean, base, basis, spectrum):
        offset = x - mean
        inside = basis.T @ offset
        quadratic = jnp.sum(inside**2 / spectrum)
        if rank < dim:
            quadratic = quadratic + jnp.sum((offset - basis @ inside) ** 2) / base
        return -0.5 * quadratic

    return each(one, means, base, basis, spectrum)


def _isotropic(x, means, variances):
    """|x - mean_k|^2 / variance_k of every component, (K,)."""
    count, dim = means.shape
    if 2 < dim <= _FEW < count:
        return _quadratic(x, means, 1.0 / variances[:, None])
    if dim > _FEW and count > _FEW_PAIRS and means.dtype == jnp.float64:
        return products.squares(*_centred(x, means), variances)
    return squared_distances(x, means) / variances


def _quadratic(where, places, precisions):
    """sum_j precision_kj (where_j - place_kj)^2 of every component, (K,).

    Many components: the square is written out, by which it is a matrix product when
    vmapped over particles, wherever rounding is known to do no harm. (Of points far from
    all places it does the same either way.)

    Args:
        where: (r,).
        places: (K, r).
        precisions: (K, r), or (K, 1) for the same of every j.
    """
    if places.shape[0] <= _FEW or places.dtype != jnp.float64:
        return _squares(where, places, precisions)
    centre = jnp.mean(places, axis=0)
    sizes = jnp.sum((places - centre[None]) ** 2 * precisions, axis=1)
    harmless = jnp.max(sizes) * jnp.finfo(sizes.dtype).eps <= products.LOST
    given = where - centre, places - centre[None], precisions
    return jax.lax.cond(harmless, _written_out, _squares, *given)


def _squares(where, places, precisions):
    return _sum_of_columns((where[None] - places) ** 2 * precisions)


def _written_out(where, places, precisions):
    heights = jnp.sum(places**2 * precisions, axis=1, keepdims=True)
    squares = where**2 if precisions.shape[1] > 1 else _squared_norm(where)[None]
    steep = -2.0 * places * precisions
    both = jnp.concatenate([heights, steep, precisions], axis=1)
    return both @ jnp.concatenate([jnp.ones_like(where[:1]), where, squares])


def projects(basis, count):
    """Whether x and the means are projected once each, and not their differences.

    One basis, with many dimensions or components: vmapped over particles these are
    matrix products.
    """
    return basis.shape[0] == 1 and max(basis.shape[1], count) > _FEW


def middle(means):
    """A point (d,) amid means (K, d), wherever the origin is.

    Of each coordinate the median of three means: one that is far out does not move it.
    """
    first, half, last = means[0], means[means.shape[0] // 2], means[-1]
    lower, upper = jnp.minimum(first, half), jnp.maximum(first, half)
    return jnp.maximum(lower, jnp.minimum(upper, last))


def _centred(x, means):
    """Both from amid the means: far from the origin products would cancel."""
    origin = middle(means)
    return x - origin, means - origin[None]


def coordinates(x, means, basis):
    """U_k^T (x - mean_k) for bases (K, d, r) or (1, d, r), (K, r)."""
    if projects(basis, means.shape[0]):
        x, means = _centred(x, means)
        return (x @ basis[0])[None] - means @ basis[0]
    if basis.shape[0] == 1:
        return jax.vmap(lambda mean: basis[0].T @ (x - mean))(means)
    return jax.vmap(lambda mean, own: own.T @ (x - mean))(means, basis)


def squared_distances(x, means):
    r"""\(\|x - \mu_k\|^2\), (K,).

    In many dimensions, by matrix products: with \(\mu\) the nearest mean and
    \(\delta = x - \mu\), the sum
    \(\|\delta\|^2 + 2\delta^T(\mu - \mu_k) + \|\mu - \mu_k\|^2\) has no term that is
    large beside the result, unlike the usual \(\|x\|^2 - 2 x^T\mu_k + \|\mu_k\|^2\).
    """
    count, dim = means.shape
    if dim <= _FEW or not 1 < count <= _FEW_PAIRS:
        return jax.vmap(lambda mean: _squared_norm(x - mean))(means)
    centre = middle(means)  # a mean that is far out does not move it
    centred = means - centre[None]
    rough = 0.5 * jnp.sum(centred**2, axis=1) - centred @ (x - centre)
    nearest = jnp.argmin(rough)
    apart = jax.vmap(lambda mean: jnp.sum((means - mean[None]) ** 2, axis=1))(means)
    offset = x - means[nearest]
    along = centred @ offset
    return offset @ offset + 2.0 * (along[nearest] - along) + apart[nearest]


def _squared_norm(vector):
    return weighted(vector, vector)  # few entries are added one by one


def _sum_of_columns(values):
    """Over the second axis of (K, r); few are added one by one, as in `weighted`."""
    if values.shape[1] > _FEW:
        return jnp.sum(values, axis=1)
    return sum(values[:, i] for i in range(values.shape[1]))


def apply(vector, base, basis, spectrum):
    """(b (I - U U^T) + U diag(spectrum) U^T) vector."""
    dim, rank = basis.shape
    if rank == 0:
        return base * vector
    inside = basis.T @ vector
    along = basis @ (spectrum * inside)
    return along if rank == dim else base * (vector - basis @ inside) + along


def pull(share, x, means, base, basis, spectrum):
    """sum_k share_k (b_k (I - U U^T) + U diag(spectrum_k) U^T) (mean_k - x), (d,).

    Of many components, it is summed before anything has the size of (K, d).
    """
    dim, rank = basis.shape[1:]
    x, means = _centred(x, means)
    if rank > 0:
        along = coordinates(x, means, basis)
    if rank == dim:
        return -combine(basis, share[:, None] * spectrum * along)
    factors = share * base
    if means.shape[0] <= _FEW:
        outside = weighted(factors, means - x[None])
    else:
        outside = weighted(factors, means)
        outside = outside - weighted(factors, jnp.ones_like(factors)) * x
    if rank == 0:
        return outside
    return outside + combine(basis, share[:, None] * (base[:, None] - spectrum) * along)


def matrix(mean, base, basis, spectrum):
    """The covariance (d, d)."""
    eye = jnp.eye(mean.shape[0], dtype=mean.dtype)
    return jax.vmap(lambda column: apply(column, base, basis, spectrum))(eye)


def each(fn, means, base, basis, spectrum):
    """vmap of fn(mean, base, basis, spectrum); a basis (1, ...) is shared by all."""
    if jax.tree.leaves(basis)[0].shape[0] == 1:
        basis = jax.tree.map(lambda leaf: leaf[0], basis)
        return jax.vmap(fn, in_axes=(0, 0, None, 0))(means, base, basis, spectrum)
    return jax.vmap(fn)(means, base, basis, spectrum)


def combine(basis, coefficients):
    """sum_k U_k c_k for bases (K, d, r) or (1, d, r) and coefficients (K, r)."""
    if basis.shape[0] == 1:
        return basis[0] @ jnp.sum(coefficients, axis=0)
    return jnp.einsum("kdr,kr->d", basis, coefficients)


def log_total(log_terms):
    """log sum_k exp(log_terms_k) for (K,)."""
    top, terms = _exponentials(log_terms)
    return top + jnp.log(weighted(jnp.ones_like(terms), terms))


def shares(log_terms):
    """exp(log_terms) / sum for (K,), with one exponential a term."""
    terms = _exponentials(log_terms)[1]
    return terms / weighted(jnp.ones_like(terms), terms)


def average(log_terms, values):
    """sum_k values_k exp(log_terms_k) / sum_k exp(log_terms_k), (d,), for values (K, d).

    Many components: both sums are one matrix product, when vmapped over particles.
    """
    terms = _exponentials(log_terms)[1]
    if terms.shape[0] <= _FEW:
        return weighted(terms / weighted(jnp.ones_like(terms), terms), values)
    sums = terms @ jnp.concatenate([values, jnp.ones_like(values[:, :1])], axis=1)
    return sums[:-1] / sums[-1]


def weighted(weights, values):
    """sum_k weights_k values_k for weights (K,) and values (K,) or (K, d).

    Few components are added one by one: vmapped over particles this is straight-line
    arithmetic, nine times faster than a reduction over a short axis (measured, K = 2).
    """
    if weights.shape[0] > _FEW:
        return weights @ values
    return sum(weights[k] * values[k] for k in range(weights.shape[0]))


def exponentials(log_terms):
    """exp(log_terms - max) for (K,)."""
    return _exponentials(log_terms)[1]


def _exponentials(log_terms):
    count = log_terms.shape[0]
    if count > _FEW:
        top = jnp.max(log_terms)
    else:
        top = functools.reduce(jnp.maximum, [log_terms[k] for k in range(count)])
    top = jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, jnp.zeros_like(top)))
    return top, jnp.exp(log_terms - top)


def cumulative(weights):
    """Sums of weights (K,) from the first to each, (K,): they rise at positive ones only.

    A parallel sum rounds each entry its own way, so that it may fall, or rise where the
    weight is zero.
    """
    return jax.lax.cummax(_sums(weights))


def chosen(weights, level):
    """The component () in whose share of the weights (K,) a level () in (0, 1) falls.

    What a search in `cumulative` finds, for weights that are used once.
    """
    sums = _sums(weights)
    return jnp.argmax(sums > below_total(level, jnp.max(sums)))


def below_total(level, total):
    """A level from 0 to 1, of any shape, times the total: below it, also when rounded.

    The first sum above it is thus that of an entry that has weight.
    """
    return jnp.minimum(level * total, jnp.nextafter(total, jnp.zeros_like(total)))


def _sums(weights):
    return jnp.where(weights > 0, jnp.cumsum(weights), 0.0)


def sampler(log_weights, means, base, basis, spectrum):
    """A function from a key to one sample (d,) of the mixture."""
    sums = cumulative(jnp.exp(log_weights))
    count, dim = means.shape

    def draw(key):
        key_component, key_noise = jax.random.split(key)
        level = jax.random.uniform(key_component, (), sums.dtype)
        k = jnp.searchsorted(sums, below_total(level, sums[-1]), side="right")
        k = jnp.minimum(k, count - 1)  # beyond it only where weights are NaN
        noise = jax.random.normal(key_noise, (dim,), means.dtype)
        columns = basis[0] if basis.shape[0] == 1 else basis[k]
        return means[k] + apply(
            noise, jnp.sqrt(base[k]), columns, jnp.sqrt(spectrum[k])
        )

    return draw


def spectral_form(means, base, basis, spectrum):
    """(base, basis, spectrum); on the line a complete basis is the same as none."""
    if means.shape[1] == 1 and spectrum.shape[1] == 1:
        return spectrum[:, 0], *no_basis(means)
    return base, basis, spectrum


def no_basis(means):
    """Basis and spectrum of rank 0 for means (K, d)."""
    count, dim = means.shape
    return jnp.zeros((1, dim, 0), means.dtype), jnp.zeros((count, 0), means.dtype)
