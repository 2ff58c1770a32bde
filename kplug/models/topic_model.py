"""Neural topic models: ProdLDA, its mixture form, and topics in an embedding space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import numpy as np
from keras import ops
from pydantic import Field

from kplug.catalog.facts import component
from kplug.datasets.bag_of_words import build_vocabulary, count_words
from kplug.layers.logistic_normal import dirichlet_laplace
from kplug.layers.sampling import Sampling
from kplug.models.document_batches import DocumentBatches, is_sparse, is_text
from kplug.models.topic_quality import Perplexity, TopicQuality
from kplug.models.topic_seeds import topic_seeds

PositiveInt = Annotated[int, Field(gt=0)]

_SRIVASTAVA = (
    "Srivastava & Sutton (2017), Autoencoding Variational Inference for Topic Models, https://arxiv.org/abs/1703.01488"
)
_DIENG = "Dieng et al. (2020), Topic Modeling in Embedding Spaces, https://arxiv.org/abs/1907.04907"
_SIEVERT = "Sievert & Shirley (2014), LDAvis, https://aclanthology.org/W14-3110"
_MOMENTUM = 0.9


@component(
    tasks=["topic-modeling"],
    own_loss=True,
    optimizer="adam",
    references=[_SRIVASTAVA, _DIENG],
)
@keras.saving.register_keras_serializable(package="kplug")
class NeuralTopicModel(keras.Model):
    """Topic model trained as a variational autoencoder of word counts.

    A document's mixture of topics is the softmax of a Gaussian, whose mean and variance an encoder reads from the
    counts (Srivastava & Sutton 2017); its prior approximates a Dirichlet distribution. The loss is -ELBO in nats per
    document: the multinomial cross-entropy of the words, without the constant of their order, plus the KL divergence.
    How a mixture becomes word probabilities is the `decoder`:

    - `"mixture"`: the mean of the topics' word distributions, as in latent Dirichlet allocation. Topics are
      distributions over words. The default: it finds the topics that there are.
    - `"product"`: ProdLDA, a product of experts: the topics' scores are added before the softmax, after batch
      normalisation. Its topics are scores, often coherent and never very common words.
    - `"embedded"`: a mixture whose topics and words are vectors in one space (Dieng et al. 2020): fewer weights for
      large vocabularies, and words that occur together are near to each other (`word_embeddings`).

    Topic models that begin at random often end with some topics twice and others not at all. This one begins at the
    centres of a k-means clustering of the documents (`adapt`, which `fit` calls on arrays), and does not collapse.

    The logs have `perplexity`, the bound per word, and with arrays to fit on, each epoch's `coherence` (NPMI of the top
    words in the training documents) and `diversity`.

    Use it to see what many short texts are about. For a few hundred documents plain LDA is as good.

    Args:
        vocabulary_size: Number of words; by default that of `vocabulary`, or of the first data.
        num_topics: Number of topics, at least 2.
        decoder: `"mixture"`, `"product"` or `"embedded"`.
        vocabulary: The words, in the order of the counts' columns; built from the texts if `fit` is given texts.
        units: Units of the encoder's hidden layers.
        dropout: Share of the last hidden layer that is dropped in training.
        concentration: Concentration of the Dirichlet prior on mixtures; below 1 documents have few topics.
        embedding_dim: Length of the vectors of the embedded decoder, at least `num_topics`.
        initialization: `"kmeans"`, or `"random"` for the papers' own.
        seed: Whole number that makes the draws and the clustering repeat, or `None`.
        **kwargs: Keras' own model arguments (`name`, `dtype`, …).

    Call arguments:
        inputs: Word counts of shape `(batch_size, vocabulary_size)`.

    Returns:
        When called: a dictionary with `log_probabilities` of the words, of shape `(batch_size, vocabulary_size)`, and
        `mean` and `log_var` of the mixtures' Gaussian, each of shape `(batch_size, num_topics)`.

    Raises:
        ValueError: If a parameter is out of range, or data are no counts of as many words.

    References:
        - Srivastava & Sutton (2017), Autoencoding Variational Inference for Topic Models,
          https://arxiv.org/abs/1703.01488
        - Dieng et al. (2020), Topic Modeling in Embedding Spaces, https://arxiv.org/abs/1907.04907

    Example:

    ```python
    model = kplug.NeuralTopicModel(num_topics=20)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(texts, epochs=60, batch_size=200)  # or word counts, dense or sparse
    for words in model.topics(8):
        print(" ".join(words))
    mixtures = model.transform(["a new document"])
    ```
    """

    def __init__(
        self,
        vocabulary_size: PositiveInt | None = None,
        num_topics: Annotated[int, Field(ge=2)] = 10,
        decoder: Literal["mixture", "product", "embedded"] = "mixture",
        vocabulary: Sequence[str] | None = None,
        units: Sequence[PositiveInt] = (100, 100),
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        concentration: Annotated[float, Field(gt=0)] = 0.1,
        embedding_dim: PositiveInt = 100,
        initialization: Literal["kmeans", "random"] = "kmeans",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check(num_topics, decoder, units, dropout, concentration, embedding_dim, initialization)
        if vocabulary is not None and vocabulary_size not in {None, len(vocabulary)}:
            raise ValueError(
                f"`vocabulary` has {len(vocabulary)} words. Received: vocabulary_size={vocabulary_size}. Leave one out."
            )
        self.vocabulary = None if vocabulary is None else tuple(vocabulary)
        self.vocabulary_size: Any = vocabulary_size if vocabulary is None else len(vocabulary)
        self.num_topics = num_topics
        self.decoder = decoder
        self.units = tuple(units)
        self.dropout = dropout
        self.concentration = concentration
        self.embedding_dim = embedding_dim
        self.initialization = initialization
        self.seed = seed
        policy = self.dtype_policy
        self.hidden = [keras.layers.Dense(count, "softplus", dtype=policy) for count in self.units]
        self.dropping = keras.layers.Dropout(dropout, seed=seed, dtype=policy)
        self.heads = [keras.layers.Dense(num_topics, dtype=policy, name=name) for name in ("mean", "log_var")]
        # Without a scale of its own: what keeps posteriors from falling onto the prior.
        self.normalizations = [
            _normalization(center=True, dtype=policy, name=f"{name}_norm") for name in ("mean", "log_var")
        ]
        self.word_normalization = _normalization(center=False, dtype="float32", name="word_norm")
        self.sampling = Sampling(seed=seed, dtype="float32")
        self.prior_mean, self.prior_log_var = (
            np.asarray(part, dtype="float32") for part in dirichlet_laplace(concentration, num_topics)
        )
        self.trackers = [keras.metrics.Mean(name="reconstruction_loss"), keras.metrics.Mean(name="kl_loss")]
        self.perplexity_tracker = Perplexity(name="perplexity")
        self.quality = TopicQuality()

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        if len(input_shape) != 2 or size is None or size != (self.vocabulary_size or size):
            raise ValueError(
                "NeuralTopicModel needs word counts of shape "
                f"(batch_size, {self.vocabulary_size or 'vocabulary_size'}). Received: input_shape={tuple(input_shape)}"
            )
        self.vocabulary_size = size
        width = size
        for layer, count in zip(self.hidden, self.units, strict=True):
            layer.build((None, width))
            width = count
        for part in (*self.heads, *self.normalizations):
            part.build((None, width if part in self.heads else self.num_topics))
        initializer = keras.initializers.GlorotUniform(seed=self.seed)
        if self.decoder == "embedded":
            shapes = {
                "topic_embeddings": (self.num_topics, self.embedding_dim),
                "word_embeddings": (size, self.embedding_dim),
            }
        else:
            shapes = {"topic_scores": (self.num_topics, size)}
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, initializer=initializer, autocast=False, name=name))
        if self.decoder == "product":
            self.word_normalization.build((None, size))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        counts = ops.cast(inputs, "float32")
        mean, log_var = self._posterior(counts, training)
        z = self.sampling([mean, log_var]) if training else mean
        mixture = ops.softmax(z, axis=-1)
        return {"log_probabilities": self._decoded(mixture, training), "mean": mean, "log_var": log_var}

    def _posterior(self, counts: Any, training: bool | None = None) -> tuple[Any, Any]:
        # Shares of the document, of the size that counts in a document with every word once would have.
        hidden = counts * (self.vocabulary_size**0.5 / ops.maximum(ops.sum(counts, axis=-1, keepdims=True), 1.0))
        for layer in self.hidden:
            hidden = layer(hidden)
        hidden = self.dropping(hidden, training=training)
        mean, log_var = (
            ops.cast(norm(head(hidden), training=training), "float32")
            for head, norm in zip(self.heads, self.normalizations, strict=True)
        )
        return mean, log_var

    def _decoded(self, mixture: Any, training: bool | None = None) -> Any:
        """Return log probabilities of the words for mixtures of topics."""
        if self.decoder == "product":
            scores = ops.matmul(mixture, ops.convert_to_tensor(self.topic_scores))
            return ops.log_softmax(self.word_normalization(scores, training=training), axis=-1)
        return ops.log(ops.matmul(mixture, ops.softmax(self._scores(), axis=-1)) + 1e-10)

    def _scores(self) -> Any:
        """Return the topics' scores of words, of shape `(num_topics, vocabulary_size)`."""
        if self.decoder == "embedded":
            return ops.matmul(
                ops.convert_to_tensor(self.topic_embeddings), ops.transpose(ops.convert_to_tensor(self.word_embeddings))
            )
        return ops.convert_to_tensor(self.topic_scores)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        del y, training
        if getattr(self, "loss", None) is not None:
            raise ValueError(
                f"NeuralTopicModel computes its own loss. Compile it without one. Received: loss={self.loss}"
            )
        counts = ops.cast(x, "float32")
        reconstruction = -ops.sum(counts * y_pred["log_probabilities"], axis=-1)
        prior_mean, prior_log_var = map(ops.convert_to_tensor, (self.prior_mean, self.prior_log_var))
        ratio = y_pred["log_var"] - prior_log_var
        distance = ops.square(y_pred["mean"] - prior_mean) * ops.exp(-prior_log_var)
        kl = 0.5 * ops.sum(ops.expm1(ratio) - ratio + distance, axis=-1)
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        for tracker, term in zip(self.trackers, (reconstruction, kl), strict=True):
            tracker.update_state(term, sample_weight=sample_weight)
        loss = reconstruction + kl
        if sample_weight is not None:
            loss = loss * sample_weight
        self.perplexity_tracker.update_state(counts, loss)
        return ops.mean(loss)

    def adapt(self, x: Any) -> None:
        """Look at the training documents before training: begin at k-means topics, and keep them for `coherence`.

        Args:
            x: Word counts of shape `(n, vocabulary_size)`, NumPy or scipy sparse.

        Raises:
            ValueError: If they are no counts.
        """
        self.check_data(x)
        if not self.built:
            self.build((None, x.shape[1]))
        self.quality.documents = x
        if self.initialization == "random":
            return
        scores = topic_seeds(x, self.num_topics, self.seed)
        if self.decoder == "embedded":
            # The scores are of rank `num_topics`, so vectors of that length give them exactly.
            left, sizes, right = np.linalg.svd(scores, full_matrices=False)
            padding = ((0, 0), (0, self.embedding_dim - self.num_topics))
            self.topic_embeddings.assign(np.pad(left * np.sqrt(sizes), padding))
            self.word_embeddings.assign(np.pad(right.T * np.sqrt(sizes), padding) + self._noise(padding))
        else:
            self.topic_scores.assign(scores)

    def _noise(self, padding: Any) -> np.ndarray:
        """Return small numbers where the word vectors are padded, so that those places can be learned."""
        shape = (self.vocabulary_size, self.embedding_dim)
        noise = np.random.default_rng(self.seed).normal(0, 0.01, shape)
        noise[:, : self.embedding_dim - padding[1][1]] = 0
        return noise

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train the model as `keras.Model.fit` does, on texts or word counts; targets are ignored.

        Args:
            x: A list of texts; word counts, NumPy or scipy sparse, of shape `(n, vocabulary_size)`; or any data that
                `keras.Model.fit` takes.
            y: Ignored.
            *args: As for `keras.Model.fit`.
            **kwargs: As for `keras.Model.fit`.

        Raises:
            ValueError: If the data are no counts.
        """
        if is_text(x) and self.vocabulary is None:
            self.vocabulary = build_vocabulary(list(x))
            self.vocabulary_size = len(self.vocabulary)
        if x is not None:
            x = self._counts(x) if is_text(x) else x
        if isinstance(x, np.ndarray) or is_sparse(x):
            if self.quality.documents is None:
                self.adapt(x)
            else:
                self.check_data(x)
        if is_sparse(x):
            batch_size = kwargs.pop("batch_size", None) or (args[0] if args else None) or 32
            shuffle = kwargs.pop("shuffle", True)
            x, y, args = DocumentBatches(x, batch_size, shuffle, self.seed), None, args[1:]
        kwargs["callbacks"] = [self.quality.callback(self), *_as_list(kwargs.get("callbacks"))]
        if y is None and kwargs.get("sample_weight") is not None:
            y = x  # Keras passes over weights without a target
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return the losses and the perplexity as `keras.Model.evaluate` does, of texts or word counts."""
        x = self._counts(x) if is_text(x) else x
        if is_sparse(x):
            x, y = DocumentBatches(x, kwargs.pop("batch_size", None) or 32, shuffle=False), None
        if y is None and kwargs.get("sample_weight") is not None:
            y = x
        return super().evaluate(x, y, *args, **kwargs)

    def check_data(self, x: Any) -> None:
        """Refuse what are no word counts; only NumPy and scipy sparse arrays are looked at.

        Raises:
            ValueError: If the array has another shape, negative numbers or NaN, or a document without words.
        """
        if not (isinstance(x, np.ndarray) or is_sparse(x)):
            return
        if x.ndim != 2 or x.shape[1] != (self.vocabulary_size or x.shape[1]):
            raise ValueError(
                f"Word counts must have the shape (n, {self.vocabulary_size or 'vocabulary_size'}). "
                f"Received: an array of shape {x.shape}"
            )
        values = x.data if is_sparse(x) else x
        if values.size and not values.min() >= 0:
            raise ValueError(f"Word counts must be at least 0. Received: {values.min()}")
        empty = np.flatnonzero(np.asarray(x.sum(axis=1)).ravel() == 0)
        if len(empty) == x.shape[0]:
            raise ValueError(f"None of the {x.shape[0]} documents has a word of the vocabulary.")

    def topic_words(self) -> np.ndarray:
        """Return the topics' word distributions, of shape `(num_topics, vocabulary_size)`, each with the sum 1."""
        self._insist_built()
        scores = self._scores()
        if self.decoder == "product":
            scores = self.word_normalization(scores, training=False)
        return ops.convert_to_numpy(ops.softmax(scores, axis=-1))

    def ranking(self, relevance: float = 0.6) -> np.ndarray:
        """Return scores by which words stand for topics, of shape `(num_topics, vocabulary_size)`.

        ```
        relevance * log p(word | topic) + (1 - relevance) * log( p(word | topic) / p(word) )
        ```

        (Sievert & Shirley 2014): at 1 the likeliest words, which topics may share; lower, the words that a topic has
        for itself. They found 0.6 best for people.

        Args:
            relevance: Between 0 and 1.

        Raises:
            ValueError: If `relevance` is out of range, or the model has not seen data yet.
        """
        if not 0 <= relevance <= 1:
            raise ValueError(f"`relevance` must lie between 0 and 1. Received: relevance={relevance}")
        words = np.log(self.topic_words().astype("float64") + 1e-12)
        overall = np.log(np.exp(words).mean(axis=0))
        return words - (1 - relevance) * overall

    def topics(self, n_words: int = 10, relevance: float = 0.6) -> list[list[str]]:
        """Return each topic's top words, the first one first; without a vocabulary their numbers as text.

        Args:
            n_words: How many words of each topic.
            relevance: How words are ranked, see `ranking`.
        """
        names = self.vocabulary or [str(number) for number in range(self.topic_words().shape[1])]
        order = np.argsort(-self.ranking(relevance), axis=1, kind="stable")[:, :n_words]
        return [[names[word] for word in row] for row in order]

    def transform(self, documents: Any, batch_size: int = 1024) -> np.ndarray:
        """Return each document's mixture of topics.

        Args:
            documents: A list of texts, or word counts of shape `(n, vocabulary_size)`, NumPy or scipy sparse.
            batch_size: How many to work on at a time.

        Returns:
            NumPy array of shape `(n, num_topics)`; rows have the sum 1.

        Raises:
            ValueError: If the model has not seen data yet, or the documents are no such counts.
        """
        counts: Any = self._counts(documents) if is_text(documents) else documents
        counts = counts if is_sparse(counts) else np.asarray(counts)
        if not self.built:
            self.build((None, counts.shape[-1]))
        self.check_data(counts)
        mixtures = []
        for start in range(0, counts.shape[0], batch_size):
            batch = counts[start : start + batch_size]
            batch = batch.toarray() if is_sparse(batch) else batch
            mean = self._posterior(ops.cast(ops.convert_to_tensor(batch), "float32"), training=False)[0]
            mixtures.append(ops.convert_to_numpy(ops.softmax(mean, axis=-1)))
        return np.concatenate(mixtures) if mixtures else np.zeros((0, self.num_topics), "float32")

    def top_documents(self, documents: Any, n: int = 5) -> np.ndarray:
        """Return, for each topic, the numbers of the documents that have the most of it: shape `(num_topics, n)`."""
        return np.argsort(-self.transform(documents), axis=0, kind="stable")[:n].T

    def perplexity(self, documents: Any, batch_size: int = 1024) -> float:
        """Return the bound on the perplexity per word, `exp(-ELBO / words)`: lower is better.

        The bound takes the mixture at the posterior's mean.

        Args:
            documents: A list of texts, or word counts of shape `(n, vocabulary_size)`.
            batch_size: How many to work on at a time.
        """
        counts = self._counts(documents) if is_text(documents) else documents
        if getattr(self, "optimizer", None) is None:
            raise ValueError("The model is not compiled. Call `compile` first; the optimizer does not matter here.")
        return float(self.evaluate(counts, batch_size=batch_size, verbose=0, return_dict=True)["perplexity"])

    def _counts(self, texts: Any) -> np.ndarray:
        if self.vocabulary is None:
            raise ValueError(
                "The model has no vocabulary, so it cannot count the words of texts. Give it `vocabulary`, or `fit` it "
                "on texts, or pass word counts."
            )
        return count_words(list(texts), self.vocabulary)

    def _insist_built(self) -> None:
        if not self.built:
            raise ValueError("The topic model has not seen data yet, so it has no topics. Call `fit` first.")

    def write_artifacts(self, directory: str | Path, dataset: Any) -> None:
        """Leave `topics.csv`, `topics.png` and `topic_sizes.png`.

        Args:
            directory: An existing directory.
            dataset: A `kplug.Dataset`; its vocabulary names the words if the model has none.
        """
        from kplug.models.topic_pictures import write_pictures

        write_pictures(self, Path(directory), dataset)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "num_topics": self.num_topics,
            "decoder": self.decoder,
            "vocabulary": None if self.vocabulary is None else list(self.vocabulary),
            "units": list(self.units),
            "dropout": self.dropout,
            "concentration": self.concentration,
            "embedding_dim": self.embedding_dim,
            "initialization": self.initialization,
            "seed": self.seed,
        }


def _normalization(center: bool, dtype: Any, name: str) -> keras.layers.BatchNormalization:
    return keras.layers.BatchNormalization(center=center, scale=False, momentum=_MOMENTUM, dtype=dtype, name=name)


def _as_list(callbacks: Any) -> list:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]


def _check(
    num_topics: int,
    decoder: str,
    units: Sequence[int],
    dropout: float,
    concentration: float,
    embedding_dim: int,
    initialization: str,
) -> None:
    if not (isinstance(num_topics, int) and num_topics >= 2):
        raise ValueError(f"`num_topics` must be a whole number, at least 2. Received: num_topics={num_topics}")
    for name, value, choices in (
        ("decoder", decoder, ("mixture", "product", "embedded")),
        ("initialization", initialization, ("kmeans", "random")),
    ):
        if value not in choices:
            raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}. Received: {name}={value!r}")
    if not all(isinstance(count, int) and count >= 1 for count in units):
        raise ValueError(f"`units` must be whole numbers, each at least 1. Received: units={units!r}")
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be at least 0 and less than 1. Received: dropout={dropout}")
    if not concentration > 0:
        raise ValueError(f"`concentration` must be greater than 0. Received: concentration={concentration}")
    if decoder == "embedded" and not embedding_dim >= num_topics:
        raise ValueError(f"`embedding_dim` must be at least num_topics={num_topics}. Received: {embedding_dim}")
