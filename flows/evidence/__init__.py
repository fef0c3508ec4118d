"""Evidence bundles: what a run used and made, hashed, signed, chained, and checked by who need not trust its maker."""
