"""Whether this deployment can work: probes for load balancers, and findings in plain words for whoever runs it."""
