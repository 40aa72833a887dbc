"""The life of experiments and jobs: controller, trial manager, stop rules, recovery."""
