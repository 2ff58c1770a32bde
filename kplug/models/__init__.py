"""Whole models, ready to compile and fit."""

from kplug.models.augmentation import augmentation
from kplug.models.augmented_cnn import AugmentedCNN
from kplug.models.control.policy import ContinuousPolicy
from kplug.models.control.ppo import PPO
from kplug.models.control.reinforce import Reinforce
from kplug.models.control.soft_actor_critic import SoftActorCritic
from kplug.models.own_loss import BatchMean, OwnLoss
from kplug.models.topic_model import NeuralTopicModel
from kplug.models.vae import VAE
from kplug.models.vqvae import VQVAE

__all__ = [
    "PPO",
    "VAE",
    "VQVAE",
    "AugmentedCNN",
    "BatchMean",
    "ContinuousPolicy",
    "NeuralTopicModel",
    "OwnLoss",
    "Reinforce",
    "SoftActorCritic",
    "augmentation",
]
