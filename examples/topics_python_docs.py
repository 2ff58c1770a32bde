"""Topics of Python's own documentation, named by their words, and what one sentence is about."""

import sys

import keras

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 40

documents = kplug.datasets.python_docs()
model = kplug.NeuralTopicModel(num_topics=12, vocabulary=documents.info["vocabulary"], seed=0)
model.compile(keras.optimizers.Adam(0.02))
history = model.fit(documents.train[0], epochs=epochs, batch_size=64, verbose=0).history
print(f"perplexity {history['perplexity'][-1]:.0f}  coherence {history['coherence'][-1]:.3f}")
for number, words in enumerate(model.topics(8)):
    print(f"{number:2d}  {' '.join(words)}")

sentence = "A class body may define methods, and instances look up attributes in the class"
mixture = model.transform([sentence])[0]
print(f"{sentence!r} is about topic {mixture.argmax()} ({mixture.max():.0%})")
