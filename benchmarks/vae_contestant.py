"""One contestant of `vae.py`, which runs it as `python vae_contestant.py CONTESTANT PROTOCOL SAMPLES SEED`.

It must run in an interpreter that has
PyTorch and pythae but neither Keras nor kplug, so every library is imported by the contestant that needs it.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Callable

import numpy as np
from side_by_side import Pace

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
FOREVER = 10**7
TEST_SIZE = 360
DRAWS = 10

Encode = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Decode = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Train when told to, until standard input ends."""
    contestant, protocol, samples, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    pace = Pace()
    train, test = load(protocol, samples)
    CONTESTANTS[contestant](protocol, train, test, seed, pace)


def load(protocol: str, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test images of shape `(n, height, width, 1)`; flat ones for the dense protocol."""
    if protocol == "digits":
        from sklearn.datasets import load_digits

        images = (load_digits().images / 16).astype("float32")[..., None]
        images = images[np.random.RandomState(0).permutation(len(images))]
        return images[:-TEST_SIZE], images[-TEST_SIZE:]
    x = np.random.RandomState(0).rand(samples, 28, 28, 1).astype("float32")
    return (x.reshape(samples, -1) if protocol == "mlp28" else x), x[:0]


def latent_dim(protocol: str) -> int:
    """Return the protocol's number of latent dimensions."""
    return 2 if protocol == "digits" else 16


def negative_elbo(x: np.ndarray, encode: Encode, decode: Decode) -> float:
    """Return the mean -ELBO in nats of Bernoulli images, over several draws; the same arithmetic for every contestant.

    Args:
        x: Images with values between 0 and 1, the sample axis first.
        encode: From images to mean and log variance, each of shape `(n, latent_dim)`.
        decode: From latent vectors to probabilities, of as many elements as the images.
    """
    mean, log_var = (part.astype("float64") for part in encode(x))
    pixels = x.reshape(len(x), -1).astype("float64")
    kl = 0.5 * np.sum(np.square(mean) + np.exp(log_var) - 1 - log_var, axis=1)
    generator = np.random.default_rng(0)
    losses = []
    for _ in range(DRAWS):
        z = mean + np.exp(0.5 * log_var) * generator.standard_normal(mean.shape)
        probability = decode(z.astype("float32")).reshape(pixels.shape).astype("float64").clip(1e-7, 1 - 1e-7)
        log_likelihood = pixels * np.log(probability) + (1 - pixels) * np.log1p(-probability)
        losses.append(np.mean(kl - log_likelihood.sum(axis=1)))
    return float(np.mean(losses))


def _keras_callback(pace: Pace) -> object:
    import keras

    class EpochEnd(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            pace.epoch_end()

    return EpochEnd()


def train_kplug(protocol: str, train: np.ndarray, test: np.ndarray, seed: int, pace: Pace) -> None:
    """`kplug.VAE` as the worker trains it: its threads, pipeline, steps per execution and optimizer kernel."""
    from kplug.training.performance import choose_execution, set_up_backend

    machine = set_up_backend("tensorflow")
    import keras

    import kplug
    from kplug.training.assembly import prepare
    from kplug.training.fused_adam import fuse
    from kplug.training.pipeline import fit_arguments, training_arrays

    keras.utils.set_random_seed(seed)
    if protocol == "digits":
        dataset = kplug.datasets.digits(validation_fraction=0)
        if not (np.array_equal(dataset.train[0], train) and np.array_equal(dataset.test[0], test)):
            raise SystemExit("kplug.datasets.digits is not the protocol's data")
    else:
        dataset = kplug.Dataset(train=(train, np.zeros(len(train), "int64")))
    dense = {"architecture": "dense", "units": (400,)} if protocol == "mlp28" else {}
    vae = kplug.VAE(latent_dim=latent_dim(protocol), **dense)
    arrays = training_arrays(dataset.train)
    prepare(vae, arrays)
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    execution = choose_execution("tensorflow", machine, vae, optimizer, arrays, BATCH_SIZE)
    vae.compile(optimizer, steps_per_execution=execution.steps_per_execution, jit_compile=execution.jit_compile)
    if execution.fused_adam:
        fuse(vae.optimizer)
    data, callbacks = fit_arguments(dataset, arrays, execution, BATCH_SIZE, seed)
    pace.begin(lambda: negative_elbo(test, vae.encode, vae.decode))
    vae.fit(**data, epochs=FOREVER, verbose=0, callbacks=[*callbacks, _keras_callback(pace)])


def train_keras(protocol: str, train: np.ndarray, test: np.ndarray, seed: int, pace: Pace) -> None:
    """The usual Keras tutorial: sigmoid output, `train_step` with a gradient tape, plain `fit`."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    keras.utils.set_random_seed(seed)
    size = latent_dim(protocol)
    inputs = keras.Input(train.shape[1:])
    code = keras.Input((size,))
    if protocol == "mlp28":
        features = layers.Dense(400, activation="relu")(inputs)
        outputs = layers.Dense(784, activation="sigmoid")(layers.Dense(400, activation="relu")(code))
    else:
        low = train.shape[1] // 4
        features = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(inputs)
        features = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu")(features)
        features = layers.Dense(16, activation="relu")(layers.Flatten()(features))
        hidden = layers.Reshape((low, low, 64))(layers.Dense(low * low * 64, activation="relu")(code))
        hidden = layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu")(hidden)
        hidden = layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu")(hidden)
        outputs = layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(hidden)
    encoder = keras.Model(inputs, [layers.Dense(size)(features), layers.Dense(size)(features)])
    decoder = keras.Model(code, outputs)

    class TutorialVAE(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = encoder, decoder
            self.total = keras.metrics.Mean(name="loss")
            self.reconstruction = keras.metrics.Mean(name="reconstruction_loss")
            self.kl = keras.metrics.Mean(name="kl_loss")
            self.seeds = keras.random.SeedGenerator(seed)

        def terms(self, x: object) -> tuple:
            mean, log_var = self.encoder(x)
            z = mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.seeds)
            likelihood = keras.losses.binary_crossentropy(
                ops.reshape(x, (ops.shape(x)[0], -1)), ops.reshape(self.decoder(z), (ops.shape(x)[0], -1))
            )
            pixels = float(np.prod(train.shape[1:]))
            kl = -0.5 * ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), axis=1)
            return ops.mean(likelihood) * pixels, ops.mean(kl)

        def train_step(self, data: object) -> dict:
            with tf.GradientTape() as tape:
                reconstruction, kl = self.terms(data)
                total = reconstruction + kl
            gradients = tape.gradient(total, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            for metric, value in ((self.total, total), (self.reconstruction, reconstruction), (self.kl, kl)):
                metric.update_state(value)
            return {metric.name: metric.result() for metric in (self.total, self.reconstruction, self.kl)}

    vae = TutorialVAE()
    vae.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE))

    def encode(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, log_var = encoder(x)
        return mean.numpy(), log_var.numpy()

    pace.begin(lambda: negative_elbo(test, encode, lambda z: decoder(z).numpy()))
    vae.fit(train, epochs=FOREVER, batch_size=BATCH_SIZE, verbose=0, callbacks=[_keras_callback(pace)])


def _torch_networks(protocol: str, train: np.ndarray) -> tuple:
    from torch import nn

    size = latent_dim(protocol)
    if protocol == "mlp28":
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU())
        decoder = nn.Sequential(nn.Linear(size, 400), nn.ReLU(), nn.Linear(400, 784))
        return trunk, nn.Linear(400, size), nn.Linear(400, size), decoder
    low = train.shape[1] // 4
    convolutions = [nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()]
    trunk = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(low * low * 64, 16), nn.ReLU())
    decoder = nn.Sequential(
        *(nn.Linear(size, low * low * 64), nn.ReLU(), nn.Unflatten(1, (64, low, low))),
        *(nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU()),
        nn.ConvTranspose2d(32, 1, 3, 1, 1),
    )
    return trunk, nn.Linear(16, size), nn.Linear(16, size), decoder


def _torch_negative_elbo(test: np.ndarray, networks: tuple) -> float:
    import torch

    trunk, mean_head, log_var_head, decoder = networks

    def encode(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = trunk(torch.from_numpy(x))
        return mean_head(features).numpy(), log_var_head(features).numpy()

    with torch.no_grad():
        return negative_elbo(
            _channels_first(test), encode, lambda z: torch.sigmoid(decoder(torch.from_numpy(z))).numpy()
        )


def _channels_first(x: np.ndarray) -> np.ndarray:
    return x if x.ndim == 2 else np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def train_torch(protocol: str, train: np.ndarray, test: np.ndarray, seed: int, pace: Pace) -> None:
    """A plain PyTorch loop that slices shuffled indices; the fastest plain way."""
    import torch
    from torch.nn import functional

    torch.manual_seed(seed)
    networks = _torch_networks(protocol, train)
    trunk, mean_head, log_var_head, decoder = networks
    optimizer = torch.optim.Adam([weight for part in networks for weight in part.parameters()], LEARNING_RATE)

    def loss_of(x: torch.Tensor) -> torch.Tensor:
        features = trunk(x)
        mean, log_var = mean_head(features), log_var_head(features)
        logits = decoder(mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)).flatten(1)
        reconstruction = functional.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none").sum(1)
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)
        return (reconstruction + kl).mean()

    pace.begin(lambda: _torch_negative_elbo(test, networks))
    x = torch.from_numpy(_channels_first(train))
    while True:
        total = torch.zeros(())
        for chosen in torch.randperm(len(x)).split(BATCH_SIZE):
            loss = loss_of(x[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        pace.epoch_end()


def train_pythae(protocol: str, train: np.ndarray, test: np.ndarray, seed: int, pace: Pace) -> None:
    """Pythae's VAE and trainer, with the protocol's networks."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    logging.disable(logging.CRITICAL)
    torch.manual_seed(seed)
    networks = _torch_networks(protocol, train)
    trunk, mean_head, log_var_head, decoder = networks

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            BaseEncoder.__init__(self)
            self.trunk, self.mean, self.log_var = trunk, mean_head, log_var_head

        def forward(self, x: torch.Tensor) -> ModelOutput:
            features = self.trunk(x)
            return ModelOutput(embedding=self.mean(features), log_covariance=self.log_var(features))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            BaseDecoder.__init__(self)
            self.decoder = decoder

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=torch.sigmoid(self.decoder(z)))

    x = _channels_first(train)
    config = VAEConfig(input_dim=x.shape[1:], latent_dim=latent_dim(protocol), reconstruction_loss="bce")
    vae = VAE(config, Encoder(), Decoder())

    class EpochEnd(TrainingCallback):
        def on_epoch_end(self, *args: object, **kwargs: object) -> None:
            pace.epoch_end()

    pace.begin(lambda: _torch_negative_elbo(test, networks))
    with tempfile.TemporaryDirectory() as folder:
        BaseTrainer(
            vae,
            BaseDataset(torch.from_numpy(x), torch.ones(len(x))),
            training_config=BaseTrainerConfig(
                output_dir=folder,
                num_epochs=FOREVER,
                per_device_train_batch_size=BATCH_SIZE,
                learning_rate=LEARNING_RATE,
                optimizer_cls="Adam",
                no_cuda=True,
                seed=seed,
            ),
            callbacks=[EpochEnd()],
        ).train()


CONTESTANTS = {"kplug": train_kplug, "keras": train_keras, "torch": train_torch, "pythae": train_pythae}

if __name__ == "__main__":
    main()
