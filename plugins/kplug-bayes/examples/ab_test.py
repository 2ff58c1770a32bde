"""An A/B test from the plan to the decision: how long, what came of it, what to choose.

    python examples/ab_test.py [VISITORS_PER_ARM]

The pictures `plan.png` and `ab_test.png` are drawn to the current directory.
"""

import sys

import kplug_bayes

BASELINE, UPLIFT, THRESHOLD = 0.05, 0.1, 0.0005

plan = kplug_bayes.plan_sample_size(BASELINE, UPLIFT, THRESHOLD, assurance=0.8, seed=0)
print(f"Plan, for a rate of {BASELINE:.1%} and an uplift of {UPLIFT:.0%}:")
print(f"  {plan}")
plan.plot("plan.png")

per_arm = int(sys.argv[1]) if len(sys.argv) > 1 else plan.sample_size
log = kplug_bayes.simulate_ab_test(2 * per_arm, BASELINE, UPLIFT, seed=3)
print(f"\nThe log: {log}\n")

for share in (0.1, 0.3, 1.0):
    seen = slice(0, int(share * len(log.arm)))
    test = kplug_bayes.BetaBinomialTest.from_log(log.arm[seen], log.converted[seen])
    print(f"After {share:.0%} of the visitors: {test.decide(THRESHOLD)}")

print(f"\nConversions:\n{test.summary()}")
print(f"\nRevenue per visitor:\n{kplug_bayes.NormalTest.from_log(log.arm, log.revenue).summary()}")
kplug_bayes.plot_ab_test(test, "ab_test.png", threshold=THRESHOLD)
