"""Probability distributions: log-densities and entropies with gradients, samples, reparametrized where that is possible."""

from .bernoulli import Bernoulli as Bernoulli
from .categorical import Categorical as Categorical
from .categorical import OneHotCategorical as OneHotCategorical
from .distribution import Distribution as Distribution
from .exponential import Exponential as Exponential
from .independent import Independent as Independent
from .kl import kl_divergence as kl_divergence
from .kl import register_kl as register_kl
from .laplace import Laplace as Laplace
from .normal import LogNormal as LogNormal
from .normal import Normal as Normal
from .uniform import Uniform as Uniform
