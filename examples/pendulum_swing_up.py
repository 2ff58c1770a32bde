"""Learn to swing a pendulum up and hold it there, save the policy, and let the plain Keras copy act."""

import sys

import keras
import numpy as np

import kplug

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 8

pendulum = kplug.datasets.pendulum(evaluation_episodes=5)
fitting = {name: pendulum.info[name] for name in ("state_dim", "action_dim", "action_low", "action_high")}
model = kplug.SoftActorCritic(**fitting, units=(64, 64), batch_size=128, seed=0)
model.compile(keras.optimizers.Adam(2e-3))
model.fit(pendulum.train, epochs=epochs, validation_data=pendulum.validation, verbose=2)
test = model.evaluate(pendulum.test, return_dict=True, verbose=0)
print(f"return {test['return']:.0f} +- {test['return_std']:.0f}")

model.save("pendulum.keras")
policy = kplug.load_model("pendulum.keras").policy
plain = policy.as_keras_model()  # Keras' own layers alone
hanging = np.array([-1.0, 0.0, 0.0], "float32")  # cosine and sine of the angle, angular velocity
print(f"torque where it hangs: {policy.act(hanging)[0]:.3f}, {plain.predict(hanging[None], verbose=0)[0, 0]:.3f}")
