"""Fill an empty marketplace: plan the pairs, make them, report what was made and what was not."""
