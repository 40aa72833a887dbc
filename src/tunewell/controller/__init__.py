"""The life of experiments: controller, trial manager, stop rules, recovery."""
