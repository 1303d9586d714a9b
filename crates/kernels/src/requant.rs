//! Requantisation: the only place that rounds.
