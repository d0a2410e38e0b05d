"""Evaluation on frozen features: kNN, equivariance, collapse; controls beside them."""

from eqssl.evaluation.collapse import Collapse
from eqssl.evaluation.equivariance import Equivariance
from eqssl.evaluation.evaluation import Evaluation
from eqssl.evaluation.feature_store import FeatureStore
from eqssl.evaluation.hook import EvaluationHook
from eqssl.evaluation.knn import KNN
from eqssl.evaluation.latents import LatentRegression
from eqssl.evaluation.linear import LinearProbe
from eqssl.evaluation.task import EvaluationTask

__all__ = [
    'KNN',
    'Collapse',
    'Equivariance',
    'Evaluation',
    'EvaluationHook',
    'EvaluationTask',
    'FeatureStore',
    'LatentRegression',
    'LinearProbe',
]
