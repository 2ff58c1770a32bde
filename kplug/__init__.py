"""kplug: Keras parts that Keras lacks, plugins that add more, and a terminal to train them.

`import kplug` imports neither Keras nor Textual; a part is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "ArcFaceLoss": "kplug.losses.proxies:ArcFaceLoss",
    "AugmentedCNN": "kplug.models.augmented_cnn:AugmentedCNN",
    "CategoricalFocalLoss": "kplug.losses.categorical_focal:CategoricalFocalLoss",
    "Component": "kplug.catalog.component:Component",
    "ContinuousPolicy": "kplug.models.control.policy:ContinuousPolicy",
    "ContrastiveLoss": "kplug.losses.contrastive:ContrastiveLoss",
    "Dataset": "kplug.datasets.dataset:Dataset",
    "DirichletSampling": "kplug.layers.dirichlet_sampling:DirichletSampling",
    "ELBOLoss": "kplug.losses.elbo:ELBOLoss",
    "ExpectedCalibrationError": "kplug.metrics.expected_calibration_error:ExpectedCalibrationError",
    "FocalLoss": "kplug.losses.focal:FocalLoss",
    "GaussianNoiseAugmentation": "kplug.datasets.augmentation:GaussianNoiseAugmentation",
    "GeometricMean": "kplug.metrics.geometric_mean:GeometricMean",
    "GradientReversal": "kplug.layers.gradient_reversal:GradientReversal",
    "GumbelSoftmax": "kplug.layers.gumbel_softmax:GumbelSoftmax",
    "KLDivergence": "kplug.layers.kl_divergence:KLDivergence",
    "KplugError": "kplug.errors:KplugError",
    "LengthPenaltyLoss": "kplug.losses.length_penalty:LengthPenaltyLoss",
    "LiftedStructureLoss": "kplug.losses.lifted_structure:LiftedStructureLoss",
    "LogisticNormal": "kplug.layers.logistic_normal:LogisticNormal",
    "MatthewsCorrelation": "kplug.metrics.matthews_correlation:MatthewsCorrelation",
    "MeanAveragePrecisionAtR": "kplug.metrics.mean_average_precision_at_r:MeanAveragePrecisionAtR",
    "MultiSimilarityLoss": "kplug.losses.multi_similarity:MultiSimilarityLoss",
    "NPairsLoss": "kplug.losses.npairs:NPairsLoss",
    "NPairsMultilabelLoss": "kplug.losses.npairs:NPairsMultilabelLoss",
    "NTXentLoss": "kplug.losses.contrastive:NTXentLoss",
    "ProxyAnchorLoss": "kplug.losses.proxies:ProxyAnchorLoss",
    "PPO": "kplug.models.control.ppo:PPO",
    "ProxyHead": "kplug.layers.proxy_head:ProxyHead",
    "RecallAtK": "kplug.metrics.recall_at_k:RecallAtK",
    "RandomAffine": "kplug.layers.random_affine:RandomAffine",
    "NeuralTopicModel": "kplug.models.topic_model:NeuralTopicModel",
    "Reinforce": "kplug.models.control.reinforce:Reinforce",
    "Sampling": "kplug.layers.sampling:Sampling",
    "SoftActorCritic": "kplug.models.control.soft_actor_critic:SoftActorCritic",
    "SparseCategoricalFocalLoss": "kplug.losses.categorical_focal:SparseCategoricalFocalLoss",
    "SupervisedContrastiveLoss": "kplug.losses.contrastive:SupervisedContrastiveLoss",
    "TopicCoherence": "kplug.metrics.topic_coherence:TopicCoherence",
    "TopicDiversity": "kplug.metrics.topic_diversity:TopicDiversity",
    "TripletAllLoss": "kplug.losses.batch_triplets:TripletAllLoss",
    "TripletHardLoss": "kplug.losses.batch_triplets:TripletHardLoss",
    "TripletLoss": "kplug.losses.triplet:TripletLoss",
    "TripletSemihardLoss": "kplug.losses.batch_triplets:TripletSemihardLoss",
    "VAE": "kplug.models.vae:VAE",
    "VQVAE": "kplug.models.vqvae:VQVAE",
    "VectorQuantizer": "kplug.layers.vector_quantizer:VectorQuantizer",
    "arcface_loss": "kplug.losses.proxies:arcface_loss",
    "categorical_focal_loss": "kplug.losses.categorical_focal:categorical_focal_loss",
    "component": "kplug.catalog.facts:component",
    "augment": "kplug.datasets.augmentation:augment",
    "augmentation": "kplug.models.augmentation:augmentation",
    "components": "kplug.catalog.discovery:components",
    "contrastive_loss": "kplug.losses.contrastive:contrastive_loss",
    "dirichlet_laplace": "kplug.layers.logistic_normal:dirichlet_laplace",
    "elbo_loss": "kplug.losses.elbo:elbo_loss",
    "focal_loss": "kplug.losses.focal:focal_loss",
    "gaussian_kl": "kplug.losses.gaussian_kl:gaussian_kl",
    "get": "kplug.catalog.loading:get",
    "iwae_loss": "kplug.losses.elbo:iwae_loss",
    "kl_annealing": "kplug.losses.annealing:kl_annealing",
    "length_penalty": "kplug.losses.length_penalty:length_penalty",
    "length_penalty_loss": "kplug.losses.length_penalty:length_penalty_loss",
    "lifted_structure_loss": "kplug.losses.lifted_structure:lifted_structure_loss",
    "load_model": "kplug.saving:load_model",
    "multi_similarity_loss": "kplug.losses.multi_similarity:multi_similarity_loss",
    "npairs_loss": "kplug.losses.npairs:npairs_loss",
    "npairs_multilabel_loss": "kplug.losses.npairs:npairs_multilabel_loss",
    "ntxent_loss": "kplug.losses.contrastive:ntxent_loss",
    "proxy_anchor_loss": "kplug.losses.proxies:proxy_anchor_loss",
    "register": "kplug.catalog.registration:register",
    "sparse_categorical_focal_loss": "kplug.losses.categorical_focal:sparse_categorical_focal_loss",
    "supervised_contrastive_loss": "kplug.losses.contrastive:supervised_contrastive_loss",
    "topic_coherence": "kplug.metrics.topic_coherence:topic_coherence",
    "topic_diversity": "kplug.metrics.topic_diversity:topic_diversity",
    "track": "kplug.training.track:track",
    "triplet_all_loss": "kplug.losses.batch_triplets:triplet_all_loss",
    "triplet_hard_loss": "kplug.losses.batch_triplets:triplet_hard_loss",
    "triplet_loss": "kplug.losses.triplet:triplet_loss",
    "triplet_semihard_loss": "kplug.losses.batch_triplets:triplet_semihard_loss",
}
_ROOMS = ("catalog", "datasets", "errors", "layers", "losses", "metrics", "models", "runs", "saving", "testing")

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - names of lazy attributes, which the stub spells out


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        module, _, attribute = _PUBLIC[name].partition(":")
        value = getattr(importlib.import_module(module), attribute)
    elif name in _ROOMS:
        value = importlib.import_module(f"kplug.{name}")
    else:
        raise AttributeError(f"module 'kplug' has no attribute {name!r}{_suggestion(name)}")
    globals()[name] = value
    return value


def _suggestion(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, [*_PUBLIC, *_ROOMS], n=1)
    return f". Did you mean {close[0]!r}?" if close else ""


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_ROOMS})
