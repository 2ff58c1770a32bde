"""Losses that Keras lacks, each as a function and as a class."""

from kplug.losses.annealing import kl_annealing
from kplug.losses.batch_triplets import (
    TripletAllLoss,
    TripletHardLoss,
    TripletSemihardLoss,
    triplet_all_loss,
    triplet_hard_loss,
    triplet_semihard_loss,
)
from kplug.losses.categorical_focal import (
    CategoricalFocalLoss,
    SparseCategoricalFocalLoss,
    categorical_focal_loss,
    sparse_categorical_focal_loss,
)
from kplug.losses.contrastive import (
    ContrastiveLoss,
    NTXentLoss,
    SupervisedContrastiveLoss,
    contrastive_loss,
    ntxent_loss,
    supervised_contrastive_loss,
)
from kplug.losses.elbo import ELBOLoss, ELBOTerms, elbo_loss, iwae_loss
from kplug.losses.focal import FocalLoss, focal_loss
from kplug.losses.gaussian_kl import gaussian_kl
from kplug.losses.length_penalty import LengthPenaltyLoss, length_penalty, length_penalty_loss
from kplug.losses.lifted_structure import LiftedStructureLoss, lifted_structure_loss
from kplug.losses.multi_similarity import MultiSimilarityLoss, multi_similarity_loss
from kplug.losses.npairs import NPairsLoss, NPairsMultilabelLoss, npairs_loss, npairs_multilabel_loss
from kplug.losses.proxies import ArcFaceLoss, ProxyAnchorLoss, arcface_loss, proxy_anchor_loss
from kplug.losses.triplet import TripletLoss, triplet_loss

__all__ = [
    "ArcFaceLoss",
    "CategoricalFocalLoss",
    "ContrastiveLoss",
    "ELBOLoss",
    "ELBOTerms",
    "FocalLoss",
    "LengthPenaltyLoss",
    "LiftedStructureLoss",
    "MultiSimilarityLoss",
    "NPairsLoss",
    "NPairsMultilabelLoss",
    "NTXentLoss",
    "ProxyAnchorLoss",
    "SparseCategoricalFocalLoss",
    "SupervisedContrastiveLoss",
    "TripletAllLoss",
    "TripletHardLoss",
    "TripletLoss",
    "TripletSemihardLoss",
    "arcface_loss",
    "categorical_focal_loss",
    "contrastive_loss",
    "elbo_loss",
    "focal_loss",
    "gaussian_kl",
    "iwae_loss",
    "kl_annealing",
    "length_penalty",
    "length_penalty_loss",
    "lifted_structure_loss",
    "multi_similarity_loss",
    "npairs_loss",
    "npairs_multilabel_loss",
    "ntxent_loss",
    "proxy_anchor_loss",
    "sparse_categorical_focal_loss",
    "supervised_contrastive_loss",
    "triplet_all_loss",
    "triplet_hard_loss",
    "triplet_loss",
    "triplet_semihard_loss",
]
